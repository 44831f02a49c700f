"""NetworkPolicy objects to engine values and back, with every field error; no decisions."""
