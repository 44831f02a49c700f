"""Tests with the guard in a cluster: Pods of its own behind a Service (`tests/kube/README.md`)."""
