"""grout's API as bytes and values. Pure: no module here can do I/O."""
