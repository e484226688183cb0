"""State dicts of PyTorch in known layouts: U-Nets of published systems and of torch.hub."""

from napari_tumorseg.importing.torch_layouts.reading import original, read, recognise

__all__ = ["original", "read", "recognise"]
