"""The operator: work that a cluster needs once, beside an agent on each node. It programs no
datapath."""

LEASE_S = 15
"""How long a leader that is gone keeps others from leading, by default."""
LONGEST_LEASE_S = 3600
"""A longer duration in a Lease is nobody's intent, and would keep everybody out."""
