"""The guard as it runs in its Pod: wiring, reviews, background work; no decisions of its own."""
