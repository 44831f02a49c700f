"""Tests of bootstrap and uninstall against a real API server."""
