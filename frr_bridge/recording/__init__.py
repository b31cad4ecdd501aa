"""Recordings of frr-bridge's input. frr-bridge writes them, `dualpath replay` plays them."""
