"""The daemon that makes a datapath true to what FRR wants."""
