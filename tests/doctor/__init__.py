"""Specifies what doctor finds: a healthy cluster, and named ways to break it."""
