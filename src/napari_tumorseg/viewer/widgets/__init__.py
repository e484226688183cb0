"""Small parts of the panel that know nothing of tumours."""
