"""Namespaces, links, tc, host legs, twins and shadows: what stands on Linux whoever forwards."""
