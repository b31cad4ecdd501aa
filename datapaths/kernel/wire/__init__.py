"""Batches and records to and from rtnetlink bytes. Pure: no sockets, no clocks."""
