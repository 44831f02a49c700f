"""Certificates for the webhook: issuing them is a pure calculation, with the clock handed in."""
