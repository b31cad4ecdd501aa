"""Netlink: the numbers, the codec and the sockets that all packages share."""
