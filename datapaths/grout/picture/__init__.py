"""A copy of one grout's tables, kept by dumps, events and our own writes. Pure: no sockets."""
