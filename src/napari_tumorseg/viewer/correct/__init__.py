"""The page Correct: tools, where to look, and running the model again on a part."""
