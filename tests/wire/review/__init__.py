"""Tests of ``app.wire.review``."""
