"""What runs beside the batches while a grout is connected: each a loop that ends with its grout."""
