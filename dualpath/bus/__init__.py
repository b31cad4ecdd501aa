"""How frr-bridge and the controller talk: values to frames, over ZeroMQ."""
