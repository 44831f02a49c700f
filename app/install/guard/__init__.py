"""The guard's own objects: fitted, rolled out, tested, removed; never a managed namespace's policy."""
