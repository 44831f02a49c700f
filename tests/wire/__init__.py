"""What ``app.wire`` promises."""
