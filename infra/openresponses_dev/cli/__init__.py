"""The command line: what is typed, and the commands that need no deployment."""
