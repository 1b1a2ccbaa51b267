"""CRC32C against the published vectors and against a bit-by-bit twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bus.crc32c import crc32c, crc32c_rows


def twin(data: bytes) -> int:
    """Return the CRC32C, one bit at a time, straight from its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_published_vectors(data: bytes, expected: int):
    """The vectors of RFC 3720, appendix B.4, come out."""
    assert crc32c(data) == expected


@given(st.binary(max_size=64))
def test_any_bytes_equal_the_twin(data: bytes):
    """Eight bytes at a time give what one bit at a time gives."""
    assert crc32c(data) == twin(data)


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
