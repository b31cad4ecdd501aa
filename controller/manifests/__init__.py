"""Manifests while the controller runs: read, kept, changed on trial, rolled back."""
