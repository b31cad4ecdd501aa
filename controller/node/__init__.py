"""What the controller makes of the machine, keeps, and gives back."""
