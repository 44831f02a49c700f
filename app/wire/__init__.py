"""Kubernetes' JSON and YAML to values and back, with every field error and its path; never a decision."""
