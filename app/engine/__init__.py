"""What NetworkPolicies mean, and whether a change cuts a required flow; never I/O, a clock or a log."""
