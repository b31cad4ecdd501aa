"""Manifests while the controller runs: read, stored, changed on trial, rolled back."""
