"""The vocabulary (`controller.model`) to and from protobuf. No I/O."""
