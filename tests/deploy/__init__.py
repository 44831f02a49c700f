"""What we ship to be applied, and that it ships."""
