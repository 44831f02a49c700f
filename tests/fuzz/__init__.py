"""Mutated reviews against the endpoint: whatever comes, an answer goes back."""
