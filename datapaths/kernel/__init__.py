"""The Linux kernel as a datapath: a forwarding namespace driven by netlink."""
