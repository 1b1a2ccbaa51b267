"""Checking vector files: which checker knows a file, what differs, and how it is counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from engine.host.errors import RefuseError
from engine.vectors import (
    amounts,
    auth,
    book_hash,
    domains,
    fees,
    orders,
    position_ids,
    quant,
    relayer,
    wallets,
)
from engine.vectors.case import Case, Checker, NotComputed, VectorFileError

# A file's kind is how its name begins.
CHECKERS: dict[str, Checker] = {
    "amounts_limit": amounts.limit_cases,
    "amounts_market": amounts.market_cases,
    "auth_l1": auth.l1_cases,
    "auth_l2": auth.l2_cases,
    "book_hash": book_hash.cases,
    "domain_separators": domains.cases,
    "fees": fees.cases,
    "orders": orders.cases,
    "position_ids": position_ids.cases,
    "price_grid": amounts.price_grid_cases,
    "quant": quant.cases,
    "relayer": relayer.cases,
    "wallets": wallets.cases,
}
_SUFFIX = ".json"
# What reading a row of another shape can raise. A programmer's error looks the same here; it is
# reported with the row, and the folder is then not equal.
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first fact of a file that is not as the file says."""

    id: str
    field: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One file's count. Every row is equal or different, or nothing here computes it.

    error: why the file as a whole could not be read; nothing was checked then.
    """

    file: str
    equal: int = 0
    different: int = 0
    not_computed: int = 0
    first_difference: Difference | None = None
    error: str | None = None

    @property
    def checked(self) -> int:
        """How many rows were compared."""
        return self.equal + self.different

    @property
    def is_good(self) -> bool:
        """Whether nothing differs."""
        return not self.different and self.error is None


@dataclass(frozen=True, slots=True)
class FolderResult:
    """All files of a folder, by name. unknown: the files that no checker knows."""

    files: tuple[CheckResult, ...]
    unknown: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing differs in any file."""
        return all(result.is_good for result in self.files)


def check_folder(folder: Path) -> FolderResult:
    """Check every file of a folder that a checker knows.

    Raises RefuseError for a folder that cannot be read or has no such file: nothing checked must
    never look like nothing different.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise RefuseError(f"vectors cannot be read: folder={folder}, {error.strerror}") from None
    known = {name: checker for name in names if (checker := checker_of(name)) is not None}
    if not known:
        raise RefuseError(f"no vector files are here: folder={folder}")
    results = tuple(check_file(folder / name, checker) for name, checker in known.items())
    return FolderResult(results, tuple(name for name in names if name not in known))


def checker_of(name: str) -> Checker | None:
    """Return the checker of a file by its name, None for a file of no known kind."""
    stem, dot, suffix = name.partition(".")
    if dot + suffix != _SUFFIX:
        return None
    kinds = (kind for kind in CHECKERS if stem == kind or stem.startswith(f"{kind}_"))
    return next((CHECKERS[kind] for kind in kinds), None)


def check_file(path: Path, checker: Checker) -> CheckResult:
    """Check one file; what is wrong with it is in the result."""
    try:
        document = orjson.loads(path.read_bytes())
        if not isinstance(document, dict):
            raise VectorFileError("the file is one JSON object")
        cases = list(checker(document))
    except OSError as error:
        return CheckResult(path.name, error=f"cannot be read: {error.strerror}")
    except orjson.JSONDecodeError as error:
        return CheckResult(path.name, error=f"is not JSON: {error}")
    except VectorFileError as error:
        return CheckResult(path.name, error=f"has another layout: {error}")
    return count(path.name, cases)


def count(file: str, cases: Iterable[Case]) -> CheckResult:
    """Compare all cases and count."""
    equal = not_computed = 0
    differences: list[Difference] = []
    for case in cases:
        try:
            difference = compare(case)
        except NotComputed:
            not_computed += 1
            continue
        if difference is None:
            equal += 1
        else:
            differences.append(difference)
    first = differences[0] if differences else None
    return CheckResult(file, equal, len(differences), not_computed, first)


def compare(case: Case) -> Difference | None:
    """Return the first fact of a case that differs; a row of another layout is a difference too."""
    try:
        for field, expected, got in case.facts():
            if expected != got:
                return Difference(case.id, field, _text(expected), _text(got))
    except KeyError as error:
        return Difference(case.id, str(error.args[0]), "a row with this field", "none")
    except _MALFORMED as error:
        return Difference(case.id, "", "a row of this layout", f"{type(error).__name__}: {error}")
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
