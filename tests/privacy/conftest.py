"""The command line for these tests."""

from tests.cli.conftest import tumorseg  # noqa: F401 (a fixture)
