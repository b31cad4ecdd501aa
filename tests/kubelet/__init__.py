"""A whole Kubernetes on this machine: control plane, kubelet, and pods of the product's images."""
