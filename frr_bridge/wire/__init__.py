"""Pure codecs for what zebra and the kernel say: bytes in, values out."""
