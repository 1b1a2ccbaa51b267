"""The proof: feed a tape's inputs to a fresh core and compare every byte it says with the tape.

```
 TIMER|BATCH   sequence s, records = n, local_ns = now      what the core polled, and when
 n inputs      s+1 … s+n                                    -> step(inputs, s+1, now)
 m outputs     s+n+1 … s+n+m                                == what step returned
 TIMER|PUBLISHED                                            closes the batch
```
Time is on the tape, the core has no clock, so a replay on any machine says the same. The comparison
goes on after a difference: whoever looks wants to know whether a damaged input changed a command.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engine.tape.format import is_tape_gap
from engine.tape.reader import Damage, Gap, TapeReader, kind_name
from engine.wire.codes import Flag, Kind
from engine.wire.records import BODIES, BODY_WORD, RECORD, RECORD_WORDS

_LOCAL_NS_WORD = 3


class Core(Protocol):
    """What replay needs of `engine.core.engine.Engine`."""

    def step(self, rows: np.ndarray, base_sequence: int, now_ns: int, /) -> np.ndarray:
        """Return the outputs int64[m,16] of the inputs int64[n,16]."""
        ...


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where what the core says now first differs from what it said then."""

    sequence: int
    kind: str
    instrument: int
    field: str
    expected: str  # on the tape
    got: str  # from the fresh core


@dataclass(slots=True)
class Verdict:
    """What a replay found. It is clean when the whole tape was there and every byte agreed."""

    records: int = 0
    batches: int = 0
    outputs: int = 0
    seconds: float = 0.0
    divergent_batches: int = 0
    first: Divergence | None = None
    damage: list[Damage] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    unfinished: int = 0  # batches cut off by a gap or by the end of the tape
    torn_bytes: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether this tape proves its core: nothing missing, damaged or different."""
        return not (self.first or self.damage or self.gaps)


@dataclass(frozen=True, slots=True)
class _Batch:
    base_seq: int  # of the first input
    now_ns: int
    inputs: np.ndarray
    outputs: np.ndarray
    is_whole: bool  # False: the tape ends before the batch does


def replay(tape: TapeReader, core: Core, progress: Callable[[int], None] | None = None) -> Verdict:
    """Return what became of feeding the whole tape to `core`, which must be fresh.

    progress: called now and then with the number of records done.
    """
    verdict = Verdict(torn_bytes=tape.torn_bytes)
    began = time.monotonic()
    for batch in _batches(tape, verdict, progress):
        _compare(batch, core, verdict)
    verdict.seconds = time.monotonic() - began
    return verdict


def _batches(
    tape: TapeReader, verdict: Verdict, progress: Callable[[int], None] | None
) -> Iterator[_Batch]:
    """Yield the batches of a tape, carrying the unfinished one from slice to slice."""
    rows = np.zeros((0, RECORD_WORDS), np.int64)
    sequences = np.zeros(0, np.int64)
    for piece in tape.slices():
        verdict.damage += piece.damage
        verdict.gaps += piece.gaps
        verdict.records += len(piece.rows)
        rows = np.concatenate((rows, piece.rows)) if len(rows) else piece.rows
        sequences = np.concatenate((sequences, piece.sequences))
        closed = yield from _closed_batches(rows, sequences, verdict)
        rows, sequences = rows[closed:], sequences[closed:]
        if progress is not None:
            progress(verdict.records)
    if len(rows):
        yield from _last_batch(rows, sequences, verdict)


def _closed_batches(
    rows: np.ndarray, sequences: np.ndarray, verdict: Verdict
) -> Generator[_Batch, None, int]:
    """Yield every batch that is closed within `rows`; return how many rows that was."""
    opens, closes = _marks(rows)
    # Each batch ends at the next closing record, or where that is damaged, at the next opening.
    limits = np.append(opens[1:], len(rows))
    ends = np.append(closes, len(rows))[np.searchsorted(closes, opens)]
    opens, ends, limits = (a[ends < len(rows)] for a in (opens, ends, limits))
    is_whole = ends <= limits
    ends = np.minimum(ends, limits)
    verdict.unfinished += int(np.count_nonzero(~is_whole))
    gaps_here = _has_gap(rows)
    for opened, end, whole, sequence, last, n, now_ns in zip(
        opens.tolist(),
        ends.tolist(),
        is_whole.tolist(),
        sequences[opens].tolist(),
        sequences[ends - 1].tolist(),
        rows[opens, BODY_WORD].tolist(),
        rows[opens, _LOCAL_NS_WORD].tolist(),
        strict=True,
    ):
        inside = rows[opened + 1 : end]
        # A gap inside leaves a batch that never was: there is nothing to compare it with.
        is_torn = last - sequence != len(inside) or (gaps_here and _has_gap(inside))
        if is_torn or not 0 <= n <= len(inside):
            verdict.unfinished += whole
            continue
        yield _Batch(sequence + 1, now_ns, inside[:n], inside[n:], whole)
    return int(ends[-1]) + int(is_whole[-1]) if len(ends) else 0


def _last_batch(rows: np.ndarray, sequences: np.ndarray, verdict: Verdict) -> Iterator[_Batch]:
    """Yield the batch the tape ends in, if all of its inputs are there."""
    opens, _ = _marks(rows)
    if not len(opens):
        return
    verdict.unfinished += 1
    opened = int(opens[-1])
    n = int(rows[opened, BODY_WORD])
    inside = rows[opened + 1 :]
    if 0 <= n <= len(inside) and not _has_gap(inside):
        now_ns = int(rows[opened, _LOCAL_NS_WORD])
        yield _Batch(int(sequences[opened]) + 1, now_ns, inside[:n], inside[n:], False)


def _has_gap(rows: np.ndarray) -> bool:
    return len(rows) > 0 and bool(is_tape_gap(rows).any())


def _marks(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the records that open and of those that close a batch."""
    heads = rows[:, 0]
    is_timer = (heads & 0xFFFF) == Kind.TIMER
    is_close = is_timer & ((heads >> 24) & Flag.PUBLISHED != 0)
    is_open = is_timer & ((heads >> 24) & Flag.BATCH != 0) & ~is_close
    return np.flatnonzero(is_open), np.flatnonzero(is_close)


def _compare(batch: _Batch, core: Core, verdict: Verdict) -> None:
    verdict.batches += 1
    verdict.outputs += len(batch.outputs)
    try:
        said = core.step(batch.inputs, batch.base_seq, batch.now_ns)
    # The one catch-all: a core that breaks, on a damaged input above all, is a finding.
    except Exception as error:  # noqa: BLE001
        _diverge(batch, verdict, 0, ("core", "runs on", f"{type(error).__name__}: {error}"))
        return
    if len(said) == 0 and len(batch.outputs) == 0:
        return
    count = min(len(said), len(batch.outputs))
    differs = np.flatnonzero((said[:count] != batch.outputs[:count]).any(axis=1))
    if len(differs):
        index = int(differs[0])
        _diverge(batch, verdict, index, _first_field(batch.outputs[index], said[index]))
    elif len(said) > len(batch.outputs) and batch.is_whole:
        _diverge(batch, verdict, count, ("record", "nothing", _kind_of(said[count])))
    elif len(said) < len(batch.outputs):
        _diverge(batch, verdict, count, ("record", _kind_of(batch.outputs[count]), "nothing"))


def _diverge(batch: _Batch, verdict: Verdict, index: int, what: tuple[str, str, str]) -> None:
    """Count a divergent batch and keep the first; index counts in the batch's outputs."""
    verdict.divergent_batches += 1
    if verdict.first is not None:
        return
    on_tape = index < len(batch.outputs)
    row = batch.outputs[index] if on_tape else np.zeros(RECORD_WORDS, np.int64)
    verdict.first = Divergence(
        sequence=batch.base_seq + len(batch.inputs) + index,
        kind=_kind_of(row) if on_tape else "end of batch",
        instrument=int(row[0] >> 32) & 0xFFFFFFFF,
        field=what[0],
        expected=what[1],
        got=what[2],
    )


def _first_field(expected: np.ndarray, got: np.ndarray) -> tuple[str, str, str]:
    """Return name, expected and got of the first field in which two records differ."""
    kind = int(expected[0] & 0xFFFF)
    dtype = BODIES[Kind(kind)] if kind in BODIES else RECORD
    then, now = expected.reshape(-1).view(dtype)[0], got.reshape(-1).view(dtype)[0]
    for name in dtype.names or ():
        if then[name].tobytes() != now[name].tobytes():
            return name, _text(then[name], name), _text(now[name], name)
    raise AssertionError("records differ in no field")


def _text(value: np.generic, name: str) -> str:
    if name == "kind":
        return kind_name(int(value))
    return value.tobytes().hex() if isinstance(value, np.void) else str(value)


def _kind_of(row: np.ndarray) -> str:
    return kind_name(int(row[0] & 0xFFFF))
