"""The specification as a table of cases; see ``README.md`` here."""
