"""DICOM series read as cases, and masks as DICOM segmentation objects; needs pydicom and highdicom."""
