"""Tests of ``app.cluster.probe``."""
