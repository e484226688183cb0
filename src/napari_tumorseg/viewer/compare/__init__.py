"""Page Compare: reference, diameters, time points, intensities, display presets, export."""
