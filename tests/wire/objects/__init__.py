"""Tests of ``app.wire.objects``."""
