"""How a lost point is found: boxes, sieve, SAT solver; knows values only, nothing of flows or verdicts."""
