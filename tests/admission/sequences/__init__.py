"""Random sequences of single changes against the admission layer: what is open and required stays so."""
