"""Tests of ``app.cluster.state``."""
