"""Extras of the package, in messages about libraries that are not installed."""


def to_install(extra: str) -> str:
    """Return the command that installs an extra. There is no release yet, so it is one for a checkout."""
    return f'pip install ".[{extra}]" in a checkout'
