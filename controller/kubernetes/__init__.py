"""Kubernetes: the API's objects as a second source of intent beside files."""

MANIFESTS, SECRETS = "manifests", "secrets"
"""What the mirror of the API's objects has: two directories."""

STATIC = "dualpath.io/static"
"""The label of an object that shows a manifest file of one node; its value says of which node.

No node takes such an object for intent, and nobody validates it: the file is what counts.
"""
