"""grout's API as bytes and values. Pure, but for `generate`, a developer's program."""
