"""The datapath contract and what implements it."""
