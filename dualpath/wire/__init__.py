"""The vocabulary (`dualpath.model`) to and from protobuf. No I/O."""
