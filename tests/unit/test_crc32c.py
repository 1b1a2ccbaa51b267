"""CRC32C, by instruction and by table, against published vectors and a bit-by-bit twin."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from engine.bus.crc32c import (
    by_instruction,
    by_table,
    crc32c,
    crc32c_rows,
    has_instruction,
)


def twin(data: bytes) -> int:
    """Return the CRC32C, one bit at a time, straight from its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@cache
def compiled(kernel: Any) -> Any:
    """Return one of the two kernels, compiled whichever is in use here."""
    if kernel is by_instruction and not has_instruction():
        pytest.skip("this machine has no SSE4.2")
    return njit("uint32(Array(uint8, 1, 'C', readonly=True))")(kernel)


KERNELS = pytest.mark.parametrize("kernel", [by_instruction, by_table])
VECTORS = [
    (b"", 0),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
]


@KERNELS
@pytest.mark.parametrize(("data", "expected"), VECTORS)
def test_published_vectors(kernel: Any, data: bytes, expected: int):
    """The vectors of RFC 3720, appendix B.4, come out of either kernel."""
    assert compiled(kernel)(np.frombuffer(data, np.uint8)) == crc32c(data) == expected


@KERNELS
@given(st.binary(max_size=64))
def test_any_bytes_equal_the_twin(kernel: Any, data: bytes):
    """Eight bytes at a time give what one bit at a time gives."""
    assert compiled(kernel)(np.frombuffer(data, np.uint8)) == crc32c(data) == twin(data)


SPEAK = """
from engine.bus import crc32c
print(crc32c.has_instruction(), crc32c.crc32c(b"123456789"))
print(sum(crc32c.crc32c_rows.stats.cache_hits.values()))
"""


def test_an_instruction_is_not_carried_to_a_machine_without_it(tmp_path: Path):
    """Two machines may share numba's cache: each finds its own code there, or makes it."""

    def speak(**machine: str) -> str:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **machine}
        return subprocess.run(
            [sys.executable, "-c", SPEAK],
            env=environment,
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    check = VECTORS[1][1]
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert speak() == f"{has_instruction()} {check}\n0\n"
    assert speak(**plain) == f"False {check}\n0\n"
    assert speak() == f"{has_instruction()} {check}\n1\n"
    assert speak(**plain) == f"False {check}\n1\n"


@given(st.binary(min_size=24, max_size=24), st.integers(0, 24), st.integers(0, 24))
def test_rows_are_summed_between_two_columns(row: bytes, a: int, b: int):
    """Every row of a table gets the checksum of the bytes between start and stop."""
    start, stop = sorted((a, b))
    rows = np.frombuffer(row + row[::-1], np.uint8).reshape(2, 24)
    out = np.zeros(3, np.uint32)
    crc32c_rows(rows, start, stop, out)
    assert out.tolist() == [twin(row[start:stop]), twin(row[::-1][start:stop]), 0]


def test_one_changed_bit_changes_the_sum():
    """A single flipped bit anywhere in a record is seen."""
    record = bytes(range(128))
    sums = {crc32c(record)}
    for bit in range(1024):
        damaged = bytearray(record)
        damaged[bit // 8] ^= 1 << bit % 8
        sums.add(crc32c(damaged))
    assert len(sums) == 1025
