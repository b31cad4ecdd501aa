"""The parts of the machine that the controller creates, maintains, and gives back."""
