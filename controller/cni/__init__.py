"""Interfaces that CNI plugins make: plugins run, results kept, checked, and undone."""
