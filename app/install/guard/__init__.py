"""The guard's own objects: shipped manifests fitted, rolled out, tested, removed; never a managed policy."""
