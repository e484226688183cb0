"""The page Compare: reference, diameters, time points, intensities, looks, and leaving with files."""
