"""HTTP: routes, TLS with reload, bounds, start-up, draining; never what the bytes of a review mean."""
