"""The datapath contract as checks that run against any datapath."""
