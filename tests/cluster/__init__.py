"""What the cluster room promises, without a cluster."""
