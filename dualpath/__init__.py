"""What every part shares: the model, its codecs, the bus, gRPC, and what a daemon needs."""

import os

# gRPC's C core reads it once, when it is imported. It logs a line for each handshake that fails,
# on standard error and past our limits; what concerns us comes as exceptions too.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
