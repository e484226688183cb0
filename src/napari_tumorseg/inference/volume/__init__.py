"""Segmentation of a volume in overlapping windows."""
