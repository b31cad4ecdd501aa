"""Recordings of what frr-bridge receives: written by it, played by `dualpath replay`."""
