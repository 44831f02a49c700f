"""What is wrong with a cluster's IOMETE traffic, and what repairs it: pure checks over one survey.

No semantics of its own: what policies do is asked of the engine, as the webhook asks it.
"""
