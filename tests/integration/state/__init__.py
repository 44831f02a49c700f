"""Tests of the state that is read and watched against a real API server."""
