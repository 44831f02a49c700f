"""Whether one concrete flow passes and why, for ``explain``; no semantics of its own, nothing is judged."""
