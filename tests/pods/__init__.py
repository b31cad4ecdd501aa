"""Pods on this machine without a kubelet: containerd, runc, and calls of CRI."""
