"""gRPC listeners and connections: addresses, TLS, permissions, limits."""
