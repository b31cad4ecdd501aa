"""Everything that must live beside FRR, inside its namespace."""
