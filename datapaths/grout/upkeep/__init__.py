"""Periodic work while a grout is connected: each module is a loop that ends with its grout."""
