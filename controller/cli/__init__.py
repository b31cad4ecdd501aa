"""The `dualpath` command: a client of the running daemon."""
