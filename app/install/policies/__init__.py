"""The baselines of a namespace: what stands, what is to change, what that does; never the guard itself."""
