"""Kubernetes: the API's objects as a second source of intent beside files."""

MANIFESTS, SECRETS = "manifests", "secrets"
"""What the mirror of the API's objects has: two directories."""
