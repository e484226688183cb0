"""Print the run-time dependencies of ``pyproject.toml`` for a lane of CI.

``oldest`` pins each at its lower bound; ``no-torch`` lists all but torch, whose builds for other Pythons are
several gigabytes large.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def main(lane: str) -> None:
    """Print one requirement a line."""
    for line in tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]:
        name = re.match(r"[\w.-]+", line)
        lower = re.search(r">=\s*([\w.]+)", line)
        if name is None or name[0] == "torch":
            continue
        if lane == "no-torch":
            print(line)
        elif lower is not None:
            print(f"{name[0]}=={lower[1]}")


if __name__ == "__main__":
    main(sys.argv[1])
