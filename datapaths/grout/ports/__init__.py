"""Ports of grout, and the kernel devices behind them: NICs, host legs, twins."""
