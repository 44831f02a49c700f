"""What is wrong with a cluster's IOMETE traffic, and what repairs it; never semantics of its own."""
