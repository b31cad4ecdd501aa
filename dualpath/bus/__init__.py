"""The bus between frr-bridge and the controller: messages over ZeroMQ."""
