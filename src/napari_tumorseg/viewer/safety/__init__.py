"""Nothing lost: autosave, recovery, and the question before the window closes."""
