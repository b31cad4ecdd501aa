"""Desired, programmed, observed: the state and the decisions; no sockets."""
