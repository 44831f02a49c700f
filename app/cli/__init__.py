"""The command line: one file per command, from arguments to an exit code, and the wiring of everything.

This is the one room that knows all the others. Nothing lives here that a test would want to reach
without a terminal.
"""
