"""Where the API server's calls come from, measured by nonce probes and peers; never a guess."""
