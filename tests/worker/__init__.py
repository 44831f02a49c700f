"""Tests of the worker: the process that hard questions are asked of."""
