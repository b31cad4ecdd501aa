"""Code that all packages share: the model, its codecs, the bus, gRPC, and the base of a daemon."""

import os

# gRPC's C core reads it once, at import. It logs a line for each failed handshake to standard
# error, outside our log limits; errors that concern us are raised as exceptions too.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
