"""The vocabulary that every part shares; it imports nothing of ours and does no I/O."""
