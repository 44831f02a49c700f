"""What NetworkPolicies mean, and whether a change would cut a required flow.

The engine is pure: values in, values out. It performs no I/O, reads no clock, logs nothing, and knows
neither the Kubernetes client nor the admission protocol, so that the webhook, ``check``, ``explain``,
``doctor`` and ``bootstrap`` all get the same verdict in the same words for the same state.
"""
