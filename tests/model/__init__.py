"""Tests of ``app.model``."""
