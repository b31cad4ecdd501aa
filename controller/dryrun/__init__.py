"""What a start of the controller would change, found without changing anything."""
