"""NetworkPolicy objects to engine values and back, with every field error; never a decision."""
