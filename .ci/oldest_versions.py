"""Print a pin at the lower bound of each run-time dependency, as `pyproject.toml` promises them."""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

NOT_PINNED = {"torch"}  # its lower bound comes only as a build of several gigabytes


def pins(pyproject: Path) -> list[str]:
    """Return ``name==version`` for every dependency that has a lower bound."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    found = []
    for requirement in map(Requirement, project["dependencies"]):
        lower = [s.version for s in requirement.specifier if s.operator == ">="]
        if lower and requirement.name not in NOT_PINNED:
            found.append(f"{requirement.name}=={lower[0]}")
    return found


if __name__ == "__main__":
    print("\n".join(pins(Path(sys.argv[1]))))
