"""Everything ``doctor`` and ``map`` look at, collected once and as well as possible; no findings."""
