"""Turn desired rows into requests, by comparing them with the picture."""
