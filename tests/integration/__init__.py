"""Tests against a real API server: `tests/cluster` starts it, nothing between it and the guard is mocked."""
