"""A datapath in another process: `dualpath.v1.Datapath` served, and called."""
