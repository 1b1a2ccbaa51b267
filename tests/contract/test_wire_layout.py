"""The bytes on the wire are what was agreed, for us and for other languages."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from engine.wire.codes import Kind
from engine.wire.layout import fields, layout_hash, to_c_header, to_json, to_rust
from engine.wire.records import BODIES, RECORD_BYTES, RECORD_WORDS, new, pack_word0, typed, words

GOLDEN = Path(__file__).with_name("wire_layout.json")


def test_the_layout_is_the_golden_one():
    """A changed offset, type, name or kind number differs from the golden table.

    After an intended change: write `to_json()` to the golden file; the layout hash changes with it.
    """
    assert to_json() == GOLDEN.read_text()


def test_the_table_is_json_and_its_hash_a_positive_int64():
    """The table parses as JSON, and its hash fits the header word of a ring."""
    assert json.loads(to_json())["record_bytes"] == RECORD_BYTES
    assert 0 < layout_hash() < 2**63


@pytest.mark.parametrize("kind", sorted(BODIES), ids=lambda kind: kind.name)
def test_fields_are_aligned_and_do_not_overlap(kind: Kind):
    """Every field stands on a multiple of its own size, after the field before it."""
    end = 0
    for field in fields(BODIES[kind]):
        unit = 8 if field.type == "level" else int(field.type[1:])
        assert field.offset % unit == 0, field
        assert field.offset >= end, field
        end = field.offset + field.bytes
    assert end <= RECORD_BYTES


def test_words_and_typed_are_two_views_of_the_same_bytes():
    """What is written through the typed view is read through the word view, and the reverse."""
    record = new(Kind.TRADE)
    record["instrument"], record["price"] = 7, 510_000
    rows = words(record)
    assert rows.shape == (1, RECORD_WORDS)
    assert rows[0, 0] == pack_word0(Kind.TRADE, 0, 0, 7)
    assert rows[0, 4] == 510_000
    rows[0, 5] = 2_000_000
    assert typed(rows, Kind.TRADE)["size"][0] == 2_000_000
    assert np.shares_memory(record, rows)


def test_a_c_compiler_lays_the_header_out_alike(tmp_path: Path):
    """The C header compiles: its assertions hold the offsets of every field."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    (tmp_path / "wire.c").write_text(to_c_header().replace("#pragma once", ""))
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "wire.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_rust_compiler_lays_the_module_out_alike(tmp_path: Path):
    """The Rust module compiles: its assertions hold the offsets of every field."""
    compiler = shutil.which("rustc")
    if compiler is None:
        pytest.skip("no Rust compiler on this machine")
    (tmp_path / "wire.rs").write_text(to_rust())
    command = [compiler, "--crate-type=lib", "--emit=metadata", "wire.rs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if "no override and no default toolchain set" in done.stderr:
        pytest.skip("no Rust toolchain on this machine")
    assert done.returncode == 0, done.stderr
