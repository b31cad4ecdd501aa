"""Netlink messages and what tc matches, as bytes. Pure: no sockets, no clocks, nothing waits."""
