"""Whatever is written, torn or lost, a tape says exactly what it holds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.tape.format import ENTRY_BYTES, TapeHeader, encode_header
from engine.tape.reader import Gap, TapeReader
from engine.tape.writer import TapeWriter

HEADER = TapeHeader(run_id=3, start_ns=1, clock_offset_ns=2, params_text='{"é": 1}')

batches = st.lists(
    arrays.arrays(np.int64, st.tuples(st.integers(0, 6), st.just(16))), min_size=1, max_size=6
)
# What happens to a tape: a batch is written, records are lost, the writer restarts.
histories = st.lists(
    st.one_of(batches, st.integers(1, 1 << 40), st.just("restart")), min_size=1, max_size=8
)


def read(path: Path) -> tuple[np.ndarray, list[int], list[Gap]]:
    """Rows, sequences and gaps of a tape in slices of five; nothing may be damaged."""
    with TapeReader(path) as tape:
        pieces = list(tape.slices(limit=5))
    assert not any(piece.damage for piece in pieces)
    rows = np.concatenate([np.zeros((0, 16), np.int64), *(p.rows for p in pieces)])
    return rows, [int(s) for p in pieces for s in p.sequences], [g for p in pieces for g in p.gaps]


@given(histories)
def test_a_tape_equals_the_list_of_what_was_written(history: list[object]):
    """Batches, gaps and restarts in any order leave each record under its own number."""
    sequences: list[int] = []
    gaps: list[Gap] = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "t.ht"
        writer = TapeWriter(path, HEADER)
        for event in history:
            following = writer.next_sequence
            if event == "restart":
                writer.close()
                writer = TapeWriter(path, HEADER)
                assert writer.next_sequence == following
            elif isinstance(event, int):
                writer.append_gap(following, event, local_ns=0)
                sequences.append(following)
                gaps.append(Gap(following, event))
            else:
                for rows in event:  # type: ignore[attr-defined]
                    sequences += range(writer.next_sequence, writer.next_sequence + len(rows))
                    writer.append(rows, writer.next_sequence)
        writer.close()
        assert read(path)[1:] == (sequences, gaps)


@given(batches, st.integers(min_value=0))
def test_a_tape_cut_anywhere_keeps_every_whole_record(parts: list[np.ndarray], cut: int):
    """Whatever byte the file ends at, the records before it are there, and writing goes on."""
    rows = np.concatenate(parts)
    head = len(encode_header(HEADER))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "t.ht"
        writer = TapeWriter(path, HEADER)
        writer.append(rows, 0)
        writer.close()
        kept = cut % (len(rows) * ENTRY_BYTES + 1)
        path.write_bytes(path.read_bytes()[: head + kept])
        whole = kept // ENTRY_BYTES
        np.testing.assert_array_equal(read(path)[0], rows[:whole])
        writer = TapeWriter(path, HEADER)
        assert (writer.next_sequence, writer.cut_bytes) == (whole, kept % ENTRY_BYTES)
        writer.append(rows[whole:], whole)
        writer.close()
        np.testing.assert_array_equal(read(path)[0], rows)
