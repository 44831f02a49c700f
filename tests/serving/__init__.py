"""Tests of HTTP, TLS and draining."""
