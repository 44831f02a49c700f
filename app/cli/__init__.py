"""The commands: arguments in, exit code out; and the one place where the rooms are wired together."""
