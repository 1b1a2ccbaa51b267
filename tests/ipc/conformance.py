"""Peers in other languages: how they are built, and the records they exchange with us.

Record number n is of the kind number n (mod kinds), its `trace` is n, and its field number f holds
the low bytes of `mix(n, f)`; items of arrays count as fields of their own. Each side fills and
checks *by name*, with what `halftick wire export` gave it, so one wrong offset, size or sign shows.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from engine.cli.wire import wire_app
from engine.wire.codes import Kind
from engine.wire.layout import fields
from engine.wire.records import BODIES, LEVEL, RECORD_BYTES, RECORD_WORDS, new, words

HERE = Path(__file__).parent
KINDS = sorted(BODIES)
LANGUAGES = ("c", "rust")
_GIVEN = ("kind", "trace")


def members(kind: Kind) -> list[str]:
    """Return a kind's fields as both languages write them: `levels[0].price`, `token_id[31]`."""
    found = []
    for field in fields(BODIES[kind]):
        items = [f"{field.name}[{i}]" for i in range(field.count)] * (field.count > 1)
        parts = [f".{part.name}" for part in fields(LEVEL)] if field.type == "level" else [""]
        if field.name not in _GIVEN:
            found += [item + part for item in items or [field.name] for part in parts]
    return found


def records(first: int, count: int) -> np.ndarray:
    """Return the records number `first` and up, int64[count, 16]."""
    rows = np.zeros((count, RECORD_WORDS), np.int64)
    numbers = np.arange(first, first + count, dtype=np.uint64)
    for index, kind in enumerate(KINDS):
        mine = numbers % np.uint64(len(KINDS)) == index
        some = new(kind, int(mine.sum()))
        some["trace"] = numbers[mine]
        for number, member in enumerate(members(kind)):
            _fill(some, member, mix(numbers[mine], number))
        rows[mine] = words(some)
    return rows


def mix(numbers: np.ndarray, field: int) -> np.ndarray:
    """Return what field number `field` of these records holds, uint64[n]."""
    z = (numbers * np.uint64(1009) + np.uint64(field + 1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    return z ^ z >> np.uint64(31)


def _fill(some: np.ndarray, member: str, values: np.ndarray) -> None:
    """Set a member, named as in `members`, of records of one kind."""
    name, _, rest = member.partition("[")
    if not rest:
        some[name] = values.astype(some.dtype[name])
    elif name == "levels":
        index, part = int(rest[0]), rest.split(".")[1]
        some[name][part][:, index] = values.astype(LEVEL[part])
    else:
        assert some.dtype.fields is not None
        at = some.dtype.fields[name][1] + int(rest[:-1])
        some.view(np.uint8).reshape(len(some), RECORD_BYTES)[:, at] = values.astype(np.uint8)


def build(language: str, program: str, folder: Path) -> Path:
    """Return `program` (peer, signer) compiled in `folder`; skip where there is no compiler."""
    compiler = {"c": "gcc", "rust": "rustc"}[language]
    if shutil.which(compiler) is None:
        pytest.skip(f"compiler is absent: {compiler}")
    shutil.copytree(HERE / language, folder, dirs_exist_ok=True)
    suffix = {"c": "h", "rust": "rs"}[language]
    exported = CliRunner().invoke(wire_app(), ["export", "--format", language])
    assert exported.exit_code == 0, exported.output
    (folder / f"wire.{suffix}").write_text(exported.stdout)
    (folder / f"fields.{suffix}").write_text({"c": _c_fields, "rust": _rust_fields}[language]())
    if language == "c":
        command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
        command += [f"{program}.c", "-o", program]
    else:
        command = ["rustc", "--edition=2021", "-O", "-Dwarnings", "-Adead_code", f"{program}.rs"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / program


def _c_fields() -> str:
    lines = ["#undef KINDS", f"#define KINDS {len(KINDS)}"]
    for kind in KINDS:
        lines.append(f"BEGIN({kind.name.lower()}, {kind.name})")
        lines += [f"FIELD({member})" for member in members(kind)]
        lines.append("END")
    return "\n".join(lines) + "\n"


def _rust_fields() -> str:
    lines = [f"const KINDS: u64 = {len(KINDS)};", "macro_rules! kinds {", "($each:ident) => {"]
    for kind in KINDS:
        title = "".join(part.capitalize() for part in kind.name.split("_"))
        own = " ".join(f"({member})" for member in members(kind))
        lines.append(f"$each!({title}, {kind.name}, {own});")
    return "\n".join([*lines, "};", "}"]) + "\n"
