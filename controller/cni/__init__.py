"""A small CNI runtime: runs plugins, saves their results, checks interfaces, removes them."""
