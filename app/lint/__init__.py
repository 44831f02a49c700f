"""What is wrong with whole manifests, and how it is mended in their text; never semantics of its own."""
