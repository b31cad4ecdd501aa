"""Kubernetes: the API's objects as a second source of intent beside files."""
