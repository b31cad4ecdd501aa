"""The northbound gRPC service."""
