"""Whole sets of manifests, and single flows, judged without a server."""
