"""A namespace's baselines: what stands, what is to change, what that does; never the guard itself."""
