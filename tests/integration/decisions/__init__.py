"""Each special case of the decision, against a real API server and a guard that is a process of its own."""
