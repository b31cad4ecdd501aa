"""A node in a virtual machine: systemd runs the quadlets before a kubelet."""
