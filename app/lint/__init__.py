"""Judges whole states, such as the files given to ``check``, and mends them; no semantics of its own."""
