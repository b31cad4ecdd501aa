"""Prometheus metrics. The names are an interface: docs/METRICS.md lists them."""
