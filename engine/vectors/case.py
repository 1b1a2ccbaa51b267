"""What a vector file is made of here: cases, each a list of facts to compare.

A checker turns a file's JSON into cases and computes; comparing and counting are `check`'s. All of
it is pure: a file's content in, facts out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Fact = tuple[str, object, object]  # the field, what the file says, what we compute


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a file. `facts` may raise NotComputed, and ValueError and such for bad rows."""

    id: str
    facts: Callable[[], Iterable[Fact]]


Checker = Callable[[Row], Iterable[Case]]


class NotComputed(Exception):
    """The row asks for something that nothing here computes."""


class VectorFileError(ValueError):
    """A file that has not the layout of its kind; the message names what is wrong."""


def rows_of(parent: Row, key: str, where: str = "") -> list[Row]:
    """Return a list of objects in the file; VectorFileError where there is none."""
    rows = parent.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise VectorFileError(f"{where}{key} is a list of objects: type={type(rows).__name__}")
    return rows


def sections_of(document: Row, known: Iterable[str]) -> list[str]:
    """Return which of a kind's sections a file has; VectorFileError where it has none of them."""
    names = list(known)
    found = [name for name in names if name in document]
    if not found:
        raise VectorFileError(f"a section of its kind is needed: known={', '.join(names)}")
    return found


def cases_of(
    document: Row, key: str, facts: Callable[[Row], Iterable[Fact]], *, prefix: str = ""
) -> Iterator[Case]:
    """Yield a case for each object of a list; rows without an id are named by their place."""
    for index, row in enumerate(rows_of(document, key)):
        yield Case(str(row.get("id", f"{prefix or key}[{index}]")), _bound(facts, row))


def table_cases(document: Row, facts: Callable[[Row], Iterable[Fact]]) -> Iterator[Case]:
    """Yield a case for each row of a file that has `columns` and `rows`."""
    columns, rows = document.get("columns"), document.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise VectorFileError("a table has a list of columns and a list of rows")
    for index, values in enumerate(rows):
        yield Case(f"rows[{index}]", _bound(lambda v: facts(_row(columns, v)), values))


def _row(columns: list[str], values: Any) -> Row:
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError(f"a row has {len(columns)} values")
    return dict(zip(columns, values, strict=True))


def _bound(facts: Callable[[Any], Iterable[Fact]], row: Any) -> Callable[[], Iterable[Fact]]:
    return lambda: facts(row)
