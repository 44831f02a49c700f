"""Bringing the guard and the baselines into a cluster, and out again.

First a plan, made and verified without touching anything; then its steps, one by one, over a ``Store``.
"""
