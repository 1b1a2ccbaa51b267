"""The tape file: what is written is read; what is torn, damaged or missing is named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from engine.tape.format import (
    ENTRY_BYTES,
    HEADER_BYTES,
    TapeError,
    TapeHeader,
    decode_header,
    encode_header,
)
from engine.tape.reader import Damage, Gap, TapeReader
from engine.tape.writer import TapeWriter
from engine.wire.codes import Kind
from engine.wire.records import RECORD_WORDS

HEADER = TapeHeader(run_id=7, start_ns=1_700, clock_offset_ns=-3, params_text='{"a":1}')


def some_rows(count: int, kind: Kind = Kind.BBO) -> np.ndarray:
    """Rows whose every word differs, so that no mix-up goes unseen."""
    rows = np.arange(1, count * RECORD_WORDS + 1, dtype=np.int64).reshape(count, RECORD_WORDS)
    rows[:, 0] = kind
    return rows


def write(path: Path, rows: np.ndarray, sequence: int = 0) -> int:
    """Write a tape; return the offset of its first entry."""
    writer = TapeWriter(path, HEADER)
    writer.append(rows, sequence)
    writer.close()
    return len(encode_header(HEADER))


def read_all(tape: TapeReader) -> tuple[np.ndarray, list[int], list[Damage], list[Gap]]:
    """Everything a tape holds, over slices of three."""
    pieces = list(tape.slices(limit=3))
    rows = np.concatenate([p.rows for p in pieces]) if pieces else np.zeros((0, 16), np.int64)
    return (
        rows,
        [int(s) for p in pieces for s in p.sequences],
        [d for p in pieces for d in p.damage],
        [g for p in pieces for g in p.gaps],
    )


def test_rows_come_back_as_they_went(tmp_path: Path):
    """Rows, sequences and the whole header survive the round trip, over any slice size."""
    rows = some_rows(10)
    write(tmp_path / "t.ht", rows)
    with TapeReader(tmp_path / "t.ht") as tape:
        got, sequences, damage, gaps = read_all(tape)
        assert tape.header == HEADER
        assert len(tape) == 10
    np.testing.assert_array_equal(got, rows)
    assert sequences == list(range(10))
    assert (damage, gaps) == ([], [])


def test_batches_larger_than_the_buffer_are_written_whole(tmp_path: Path):
    """A batch of more entries than the writer's buffer holds is written in pieces, none lost."""
    rows = some_rows(9_001)
    write(tmp_path / "t.ht", rows)
    with TapeReader(tmp_path / "t.ht") as tape:
        got = np.concatenate([piece.rows for piece in tape.slices()])
    np.testing.assert_array_equal(got, rows)


def test_an_empty_tape_reads_as_no_records(tmp_path: Path):
    """A tape with a header and nothing else is a tape of no records."""
    write(tmp_path / "t.ht", some_rows(0))
    with TapeReader(tmp_path / "t.ht") as tape:
        assert (len(tape), list(tape.slices())) == (0, [])


def test_a_tail_torn_at_any_byte_is_cut_and_reported(tmp_path: Path):
    """Wherever the last write was cut, whole entries stay and the rest is cut on reopening."""
    path = tmp_path / "t.ht"
    rows = some_rows(3)
    start = write(path, rows)
    whole = path.read_bytes()
    for kept in range(1, ENTRY_BYTES):
        path.write_bytes(whole[: start + 2 * ENTRY_BYTES + kept])
        with TapeReader(path) as tape:
            assert (len(tape), tape.torn_bytes) == (2, kept)
        writer = TapeWriter(path, HEADER)
        assert (writer.cut_bytes, writer.next_sequence) == (kept, 2)
        writer.append(rows[2:], 2)
        writer.close()
        assert path.read_bytes() == whole


def test_a_tail_of_zero_pages_is_cut(tmp_path: Path):
    """Entries the file system promised but never filled do not pass for records."""
    path = tmp_path / "t.ht"
    write(path, some_rows(3))
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(2 * ENTRY_BYTES + 5))
    writer = TapeWriter(path, HEADER)
    writer.close()
    assert writer.cut_bytes == 2 * ENTRY_BYTES + 5
    assert path.read_bytes() == whole


def test_a_flipped_byte_anywhere_in_an_entry_is_named(tmp_path: Path):
    """One changed byte is found wherever it lies, and named by its entry's place and kind."""
    path = tmp_path / "t.ht"
    start = write(path, some_rows(5, Kind.LEVELS))
    whole = path.read_bytes()
    for offset in range(ENTRY_BYTES):
        data = bytearray(whole)
        data[start + 3 * ENTRY_BYTES + offset] ^= 0x10
        path.write_bytes(data)
        with TapeReader(path) as tape:
            _, sequences, damage, gaps = read_all(tape)
        assert sequences == [0, 1, 2, 3, 4]
        assert [d.sequence for d in damage] == [3]
        assert gaps == []
        if offset not in (16, 17):  # the bytes of the kind itself
            assert damage[0].kind == Kind.LEVELS


def test_a_gap_says_what_is_missing(tmp_path: Path):
    """The recorder's GAP takes the first missing number; numbering goes on after the last."""
    path = tmp_path / "t.ht"
    writer = TapeWriter(path, HEADER)
    writer.append(some_rows(2), 0)
    writer.append_gap(2, lost=5, local_ns=99)
    writer.append(some_rows(2), writer.next_sequence)
    writer.close()
    with TapeReader(path) as tape:
        _, sequences, damage, gaps = read_all(tape)
    assert sequences == [0, 1, 2, 7, 8]
    assert damage == []
    assert gaps == [Gap(sequence=2, lost=5)]


def test_a_jump_nobody_explained_is_a_gap_too(tmp_path: Path):
    """Missing sequences are reported even where no GAP record stands for them."""
    path = tmp_path / "t.ht"
    writer = TapeWriter(path, HEADER)
    writer.append(some_rows(4), 2)
    writer.append(some_rows(1), 9)
    writer.close()
    with TapeReader(path) as tape:
        assert read_all(tape)[3] == [Gap(sequence=0, lost=2), Gap(sequence=6, lost=3)]


def test_reopening_after_a_gap_goes_on_behind_it(tmp_path: Path):
    """A tape that ends in a GAP continues with the sequence after the last one lost."""
    path = tmp_path / "t.ht"
    writer = TapeWriter(path, HEADER)
    writer.append_gap(0, lost=7, local_ns=0)
    writer.close()
    writer = TapeWriter(path, HEADER)
    writer.close()
    assert writer.next_sequence == 7


def test_any_damage_to_the_header_is_refused(tmp_path: Path):
    """A changed byte in header or parameters makes the tape unreadable, with a clear message."""
    data = encode_header(HEADER)
    for offset in range(HEADER_BYTES + len(HEADER.params_text)):
        changed = bytearray(data)
        changed[offset] ^= 1
        with pytest.raises(TapeError, match=r"t\.ht"):
            decode_header(bytes(changed), "t.ht")


def test_a_header_cut_short_is_refused(tmp_path: Path):
    """A file that ends inside its header is no tape."""
    data = encode_header(HEADER)
    for kept in range(len(data)):
        (tmp_path / "t.ht").write_bytes(data[:kept])
        with pytest.raises(TapeError):
            TapeReader(tmp_path / "t.ht")


@pytest.mark.parametrize("content", [b"", b"x" * 4096])
def test_what_is_no_tape_is_refused(tmp_path: Path, content: bytes):
    """A file of something else is refused by name and never overwritten."""
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(TapeError, match="not a tape"):
        TapeReader(path)
    if content:
        with pytest.raises(TapeError, match="not a tape"):
            TapeWriter(path, HEADER)
        assert path.read_bytes() == content


def test_a_missing_tape_is_named(tmp_path: Path):
    """A tape that is not there is an error of one line."""
    with pytest.raises(TapeError, match="cannot be opened: file="):
        TapeReader(tmp_path / "no.ht")


def test_a_tape_belongs_to_its_user_alone(tmp_path: Path):
    """Nobody else can read what we trade."""
    write(tmp_path / "t.ht", some_rows(1))
    assert os.stat(tmp_path / "t.ht").st_mode & 0o777 == 0o600
