"""The ledger's protocol, and its proof: a simulation over the shipped code."""
