"""The mask in hand and its numbers."""
