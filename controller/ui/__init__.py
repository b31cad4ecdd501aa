"""The page of `dualpath ui`: a server on loopback that asks the daemon, and what a browser gets."""
