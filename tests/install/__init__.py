"""Planning and carrying out, without a cluster."""
