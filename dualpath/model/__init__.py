"""The data types that all packages share; it imports nothing of ours and does no I/O."""
