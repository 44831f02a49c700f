"""Tests of logs, metrics and errors."""
