"""Ports of grout, and the kernel devices below them: NICs, host legs, wires, twins."""
