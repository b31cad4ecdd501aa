"""Drives grout (DPDK) by its own binary protocol."""
