"""The cluster's facts, kept up to date by watches or read once; never a write, never a verdict."""
