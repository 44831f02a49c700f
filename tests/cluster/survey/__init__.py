"""Tests of ``app.cluster.survey``."""
