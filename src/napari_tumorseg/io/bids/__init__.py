"""BIDS data sets read as cases, and results written as a derivative data set."""
