"""Netlink: the numbers, the codec and the sockets that every part shares."""
