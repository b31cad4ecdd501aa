"""Batches and columns as text, so that a test reads like a table."""

from datapaths.conformance.batches import batch, rows_of, upsert, withdraw

__all__ = ["batch", "rows_of", "upsert", "withdraw"]
