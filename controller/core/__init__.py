"""Desired, programmed and observed state, and the decisions. No sockets."""
