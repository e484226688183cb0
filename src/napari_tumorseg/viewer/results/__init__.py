"""The active mask and its numbers."""
