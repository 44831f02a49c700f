"""Requests and their answers, against states given as values."""
