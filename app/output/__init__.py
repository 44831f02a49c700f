"""How results are written, whatever they say: formats for programs, styled text for people; no findings."""
