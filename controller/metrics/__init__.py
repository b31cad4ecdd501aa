"""Prometheus metrics. The names are an interface: docs/API.md lists them."""
