"""What doctor found, as text, JSON, SARIF, JUnit or a page; never a finding of its own."""
