"""Finds what a start of the controller would change, without changing anything."""
