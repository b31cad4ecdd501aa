"""Manifests in; namespaces, devices and FRR settings out. Pure."""
