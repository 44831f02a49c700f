"""Tests of ``app.explain``."""
