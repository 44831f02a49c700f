"""Tests against a real API server: `tests/kube` starts it, nothing between it and the guard is mocked."""
