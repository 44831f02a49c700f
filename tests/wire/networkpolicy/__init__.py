"""Tests of ``app.wire.networkpolicy``."""
