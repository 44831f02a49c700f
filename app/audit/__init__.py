"""Evaluates whole states, such as the files given to ``check``; it has no semantics of its own."""
