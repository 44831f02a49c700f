"""HTTP: the webhook's and the health endpoints' routes, TLS with reload, start-up and draining.

It knows nothing of NetworkPolicies: a request's bytes go to a `Reviews`, and its bytes come back.
"""
