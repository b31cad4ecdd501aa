"""What one grout holds: kept by dumps, events and our own writes. Pure: no sockets."""
