"""How a lost point is found: boxes, sieve, SAT solver; never flows or verdicts, only values."""
