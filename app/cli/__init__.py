"""The commands, one file each: arguments in, exit code out; never what needs testing without a terminal."""
