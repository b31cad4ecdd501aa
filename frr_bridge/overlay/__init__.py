"""The layer 2 overlay as zebra writes it into FRR's namespace: rows in, records out."""
