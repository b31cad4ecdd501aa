"""Codecs for the messages of zebra and the kernel: bytes in, values out. Pure."""
