"""Tests of DICOM are left out where its libraries, or those that they are compared with, are missing."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("pydicom") and find_spec("dcm2niix") else ["test_dicom*.py"]
