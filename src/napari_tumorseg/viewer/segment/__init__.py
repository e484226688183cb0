"""The page Segment: which images, which model, how, and the run."""
