"""How results are written, for programs and on terminals, whatever they say; never a finding."""
