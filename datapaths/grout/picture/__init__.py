"""What one grout holds, as far as it told us. Pure: no sockets."""
