"""Tests of ``app.cluster.client``."""
