"""Tests of the lab's own parts; they need neither root nor the lab."""
