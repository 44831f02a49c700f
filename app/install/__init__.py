"""Guard and baselines into a cluster and out again: a plan, then steps; never the client or a terminal."""
