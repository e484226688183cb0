"""Fuzzer: damaged files of every kind must give a typed error or a sound answer, within 20 s and 4 GB."""
