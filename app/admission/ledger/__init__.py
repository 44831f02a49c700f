"""Changes that were admitted and are not seen to be made yet, and judging by them; never I/O or a clock."""
