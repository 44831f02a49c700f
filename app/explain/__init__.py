"""Whether one concrete flow passes, and why; never whether it should."""
