"""Tests of netpol-guard; the layout mirrors `app/`."""
