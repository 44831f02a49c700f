"""From a request to an answer: exemption, judgement, mode, response.

This room decides about requests. What NetworkPolicies mean is the engine's; what the cluster looks like comes
through the Protocols in ``ports.py``, which this room owns and others fulfil.
"""
