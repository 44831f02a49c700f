"""Tests of ``app.wire.text``."""
