"""The state that is judged, read from a live cluster or a folder into engine values; never a verdict."""
