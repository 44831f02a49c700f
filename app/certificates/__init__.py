"""The guard's certificates and webhook configuration, issued and looked after; never a verdict."""
