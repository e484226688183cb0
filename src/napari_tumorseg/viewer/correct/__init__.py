"""Page Correct: tools, uncertainty, paint constraints, and the rerun of a model on a part."""
