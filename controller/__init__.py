"""The daemon that makes a datapath equal to FRR's state."""
