"""What is wanted, turned into requests against the picture."""
