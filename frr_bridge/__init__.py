"""Everything that runs beside FRR, in the control namespace."""
