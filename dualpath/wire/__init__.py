"""Codec between the types of `dualpath.model` and protobuf. No I/O."""
