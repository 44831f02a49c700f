"""What ``doctor`` found, as text, JSON, SARIF, JUnit or a page; it finds nothing itself."""
