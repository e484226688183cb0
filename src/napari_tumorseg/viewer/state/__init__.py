"""State that the pages of the panel share: the active mask, its saving, navigation."""
