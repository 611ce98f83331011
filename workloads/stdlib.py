"""The functions of Python's standard library as text, read from the files of the running Python."""

from __future__ import annotations

import ast
import sysconfig
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from workloads.request import Split
from workloads.splits import split_of

SKIPPED = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "site-packages",
    "dist-packages",
    "turtledemo",
    "encodings",
    "pydoc_data",
    "distutils",
    "__pycache__",
    "__phello__",
}
MAX_LINES, MAX_CHARACTERS = 32, 1000


class Function(NamedTuple):
    """`file` inside the library, the lines of the function, and how many of them are signature and docstring."""

    file: str
    lines: tuple[str, ...]
    head: int


def root() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def files(split: Split) -> list[Path]:
    """The source files of a split, in order of name; a file's split depends on its path inside the library."""
    found = []
    for path in sorted(root().rglob("*.py")):
        inside = path.relative_to(root())
        if not SKIPPED & set(inside.parts) and split_of(inside.as_posix()) == split:
            found.append(path)
    return found


@cache
def functions(split: Split) -> tuple[Function, ...]:
    """Every function of 4 to `MAX_LINES` lines of the split's files, dedented, each text once."""
    seen: dict[tuple[str, ...], Function] = {}
    for path in files(split):
        for lines, head in functions_of(path):
            seen.setdefault(lines, Function(path.relative_to(root()).as_posix(), lines, head))
    return tuple(seen.values())


def functions_of(path: Path) -> Iterator[tuple[tuple[str, ...], int]]:
    """(lines, lines of the head) of the functions and methods of one file; nothing if it is not UTF-8 Python."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (UnicodeDecodeError, SyntaxError):
        return
    lines = text.expandtabs(4).splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            body = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno])).splitlines()
            head = head_end(node) - node.lineno + 1
            if 4 <= len(body) <= MAX_LINES and sum(map(len, body)) <= MAX_CHARACTERS and len(body) >= head + 2:
                yield tuple(body), head


def head_end(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The last line of the signature and the docstring."""
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        return first.end_lineno or first.lineno
    return first.lineno - 1 if first.lineno > node.lineno else node.lineno
