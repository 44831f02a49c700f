"""Changes that were admitted and are not seen to be made yet, and judging with them; never I/O, never a clock."""
