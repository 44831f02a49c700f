"""What an administrator can choose, from defaults, a file and the environment; never what follows from it."""
