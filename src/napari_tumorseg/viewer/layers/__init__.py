"""Scans and masks as napari layers, and the way back."""
