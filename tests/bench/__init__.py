"""What `make bench` measures: decisions, requests and the start, next to empty handlers in the same run."""
