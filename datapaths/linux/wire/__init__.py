"""Netlink messages, frames and tc matches, as bytes. Pure: no sockets, no clocks."""
