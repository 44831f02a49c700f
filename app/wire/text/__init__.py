"""YAML and JSON as text: documents, positions, edits that keep all other bytes; never kinds or meaning."""
