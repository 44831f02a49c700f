"""YAML and JSON as text: documents, positions, edits that keep every other byte; no kinds, no meaning."""
