"""Figures of the code itself: lengths of functions and modules, docstrings, annotations, imports.

Run ``python benchmarks/code.py [FOLDER]``, FOLDER being another checkout's ``src`` to compare with.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

OPENINGS = frozenset({"What", "Where", "How", "Which", "Who", "Whom", "That"})
"""First words of docstrings that give a riddle instead of a description."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A module's path, text and syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def functions(self) -> list[Function]:
        """All functions and methods."""
        return [n for n in ast.walk(self.tree) if isinstance(n, Function)]

    @property
    def docstrings(self) -> Iterator[str]:
        """Docstrings of the module, its classes and functions."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                yield ast.get_docstring(node) or ""

    @property
    def code_lines(self) -> int:
        """Lines without docstrings, comments and blank ones."""
        prose = set[int]()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                prose.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        lines = enumerate(self.text.splitlines(), 1)
        return sum(1 for i, line in lines if i not in prose and line.strip() and line.strip()[0] != "#")


def read(folder: Path) -> list[Module]:
    """Parse every module below a folder."""
    texts = [(path, path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))]
    return [Module(path, text, ast.parse(text)) for path, text in texts]


def length(function: Function) -> int:
    """Return the number of lines of a function without its docstring."""
    own = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return own - ((first.end_lineno or first.lineno) - first.lineno + 1 if is_docstring else 0)


def is_annotated(function: Function) -> bool:
    """Tell whether the result and every parameter but self and cls have a type."""
    found = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    typed = all(a.annotation is not None for a in found if a.arg not in ("self", "cls"))
    return typed and function.returns is not None


def spread(values: list[int]) -> str:
    """Return median, ninth decile and maximum."""
    return f"{median(values):.0f} / {quantiles(values, n=10)[-1]:.0f} / {max(values)}"


def figures(folder: Path) -> dict[str, str]:
    """Return the figures of the package in a folder, by title."""
    modules = read(folder)
    functions = [f for module in modules for f in module.functions]
    texts = [text for module in modules for text in module.docstrings]
    opened = sum(text.split(" ")[0] in OPENINGS for text in texts)
    return {
        "modules": f"{len(modules)}",
        "lines, all / of code": f"{sum(m.text.count(chr(10)) for m in modules)} / "
        f"{sum(m.code_lines for m in modules)}",
        "lines of a module, median / p90 / max": spread([m.text.count("\n") for m in modules]),
        "lines of a function, median / p90 / max": spread([length(f) for f in functions]),
        "functions above 50 lines": f"{sum(length(f) > 50 for f in functions)}",
        "annotated functions": f"{100 * sum(map(is_annotated, functions)) / len(functions):.1f} %",
        "docstrings that open with a question word": f"{opened} of {sum(map(bool, texts))}",
    }


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "src"
    for title, value in figures(chosen).items():
        print(f"{title:45} {value}")
