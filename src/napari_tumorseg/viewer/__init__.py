"""The napari front: layers, readers, writers, samples and the dock panel.

Nothing outside imports this package. What npe2 calls lives in `readers`, `writers`, `samples` and `panel`;
the first three import nothing heavy until they are called.
"""
