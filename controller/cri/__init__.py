"""Finds the network namespace of FRR's pod, and gives it the control namespace's name."""
