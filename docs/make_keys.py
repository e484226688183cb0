"""Write the table of keys.md from the commands of the panel.

    python docs/make_keys.py

The text above the table stays.
"""

from __future__ import annotations

from pathlib import Path

from napari_tumorseg.viewer.keys import markdown_table

PAGE = Path(__file__).with_name("keys.md")


def with_table(page: str) -> str:
    """Return a page with its table replaced."""
    head = page.split("| key |")[0]
    return f"{head}{markdown_table()}\n"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
