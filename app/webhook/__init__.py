"""The guard as it runs in its Pod: wiring, reviews, background work; never a decision of its own."""
