"""gRPC listeners and connections: where, and who may. Imports nothing of ours."""
