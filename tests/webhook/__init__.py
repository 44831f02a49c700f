"""Tests of ``app.webhook``."""
