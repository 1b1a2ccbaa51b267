"""Replay proves a tape, and names the first thing that is wrong with one that proves nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from arming import sniper
from core_driver import (
    DOWN,
    DUTCH,
    NOW_NS,
    SPREAD,
    UP,
    account,
    book,
    instrument,
    params,
    report,
    status,
)
from replay.tape_builder import TapeBuilder, digest, record

from engine.core.engine import Engine
from engine.core.params import EngineParams, StrategyParams
from engine.tape.format import ENTRY_BYTES
from engine.tape.reader import TapeReader
from engine.tape.replay import Core, Verdict, replay
from engine.tape.writer import TapeWriter
from engine.wire.codes import Kind, MarketStatus, Reason
from engine.wire.records import new, typed, words


class Echo:
    """A core that answers every BBO with a DECISION at its price, traced to it."""

    def step(self, rows: np.ndarray, base_sequence: int, now_ns: int, /) -> np.ndarray:
        """One DECISION for each BBO."""
        asked = np.flatnonzero((rows[:, 0] & 0xFFFF) == Kind.BBO)
        said = new(Kind.DECISION, len(asked))
        said["instrument"] = rows[asked, 0] >> 32
        said["trace"] = base_sequence + asked
        said["local_ns"] = now_ns
        said["price"] = rows[asked, 4]
        return words(said)


def bbo(bid: int, index: int = 3) -> np.ndarray:
    """A BBO with this bid."""
    return record(Kind.BBO, instrument=index, bid=bid)


def taped(core: Core, tape: TapeBuilder, *inputs: np.ndarray) -> None:
    """Let a core live through one batch, and put it on the tape."""
    tape.now_ns += 1_000_000
    batch = np.concatenate(inputs) if inputs else np.zeros((0, 16), np.int64)
    said = core.step(batch, tape.count + 1, tape.now_ns).copy()
    tape.batch([batch], [said], tape.now_ns)


def echo_tape() -> TapeBuilder:
    """Thirty batches of one to three BBOs, and what Echo said."""
    tape, core = TapeBuilder(), Echo()
    for number in range(30):
        taped(core, tape, *(bbo(100 * number + k) for k in range(1 + number % 3)))
    return tape


def verdict_of(path: Path, core: Core | None = None) -> Verdict:
    """Replay a tape through Echo, or another core."""
    with TapeReader(path) as tape:
        return replay(tape, core or Echo())


def flip(path: Path, sequence: int, offset: int) -> None:
    """Change one byte of the record with this sequence; offset counts in the record."""
    data = bytearray(path.read_bytes())
    with TapeReader(path) as tape:
        first = len(data) - len(tape) * ENTRY_BYTES
    data[first + sequence * ENTRY_BYTES + 16 + offset] ^= 0x01
    path.write_bytes(data)


def test_an_untouched_tape_is_identical(tmp_path: Path):
    """Every batch is compared and every byte agrees, whatever the slices."""
    tape = echo_tape()
    verdict = verdict_of(tape.write(tmp_path / "t.ht"))
    assert verdict.is_clean
    assert (verdict.records, verdict.batches, verdict.outputs) == (tape.count, 30, 60)
    assert (verdict.unfinished, verdict.torn_bytes) == (0, 0)


def test_batches_that_straddle_slices_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The reader's slices are not the core's batches."""
    path = echo_tape().write(tmp_path / "t.ht")
    slices = TapeReader.slices
    monkeypatch.setattr(TapeReader, "slices", lambda self: slices(self, limit=2))
    verdict = verdict_of(path)
    assert verdict.is_clean
    assert verdict.batches == 30


def test_a_changed_input_is_damage_and_a_divergence(tmp_path: Path):
    """A flipped byte in an input is named, and so is the command that it changes."""
    path = echo_tape().write(tmp_path / "t.ht")
    flip(path, sequence=1, offset=32)  # the bid of the first BBO
    verdict = verdict_of(path)
    assert not verdict.is_clean
    assert [(d.sequence, d.kind) for d in verdict.damage] == [(1, Kind.BBO)]
    assert verdict.first is not None
    assert (verdict.first.sequence, verdict.first.kind) == (2, "DECISION")
    assert (verdict.first.instrument, verdict.first.field) == (3, "price")
    assert (verdict.first.expected, verdict.first.got) == ("0", "1")


def test_a_changed_input_that_changes_nothing_is_still_damage(tmp_path: Path):
    """Where no command depends on the changed byte, the damage alone fails the tape."""
    path = echo_tape().write(tmp_path / "t.ht")
    flip(path, sequence=1, offset=60)
    verdict = verdict_of(path)
    assert not verdict.is_clean
    assert (len(verdict.damage), verdict.first) == (1, None)


@pytest.mark.parametrize("offset", range(0, 128, 7))
def test_any_changed_byte_of_any_record_is_found(tmp_path: Path, offset: int):
    """No byte of a batch can change unseen: opening, inputs, outputs, closing."""
    path = echo_tape().write(tmp_path / "t.ht")
    whole = path.read_bytes()
    for sequence in range(10):
        flip(path, sequence, offset)
        verdict = verdict_of(path)
        assert sequence in [d.sequence for d in verdict.damage]
        path.write_bytes(whole)


def test_a_core_that_says_less_is_divergent(tmp_path: Path):
    """A command on the tape that the fresh core does not give is named."""
    tape = TapeBuilder()
    tape.batch([bbo(5)], [])
    tape.batch([], [record(Kind.CANCEL, instrument=9)])
    verdict = verdict_of(tape.write(tmp_path / "t.ht"))
    assert verdict.divergent_batches == 2
    assert verdict.first is not None
    assert (verdict.first.sequence, verdict.first.kind) == (2, "end of batch")
    assert (verdict.first.expected, verdict.first.got) == ("nothing", "DECISION")


def test_a_gap_fails_the_tape(tmp_path: Path):
    """Missing records prove nothing; batches around them are not compared."""
    tape = echo_tape()
    rows = tape.rows
    writer = TapeWriter(tmp_path / "t.ht", tape.header)
    writer.append(rows[:20], 0)
    writer.append_gap(20, lost=2, local_ns=0)
    writer.append(rows[22:], 22)
    writer.close()
    verdict = verdict_of(tmp_path / "t.ht")
    assert [(g.sequence, g.lost) for g in verdict.gaps] == [(20, 2)]
    assert verdict.unfinished == 1
    assert verdict.first is None
    assert not verdict.is_clean


@pytest.mark.parametrize("kept", range(1, 8))
def test_a_tape_may_end_in_the_middle_of_a_batch(tmp_path: Path, kept: int):
    """A core that was killed leaves an unfinished batch; what is there still has to agree."""
    tape = TapeBuilder()
    taped(Echo(), tape, bbo(1), bbo(2), bbo(3))
    writer = TapeWriter(tmp_path / "t.ht", tape.header)
    writer.append(tape.rows[:kept], 0)
    writer.close()
    verdict = verdict_of(tmp_path / "t.ht")
    assert verdict.is_clean
    assert verdict.unfinished == 1
    assert verdict.batches == (1 if kept >= 4 else 0)


def test_a_core_that_breaks_is_a_finding(tmp_path: Path):
    """An exception of the core is reported as a divergence, not passed on."""

    class Broken:
        def step(self, rows: np.ndarray, base_sequence: int, now_ns: int, /) -> np.ndarray:
            raise AssertionError("order id must be new")

    verdict = verdict_of(echo_tape().write(tmp_path / "t.ht"), Broken())
    assert verdict.first is not None
    assert verdict.first.field == "core"
    assert "order id must be new" in verdict.first.got


def core_tape(*more: StrategyParams) -> TapeBuilder:
    """A small run of the real core: books, quotes, an arbitrage, acknowledgements, time."""
    engine = Engine(params(DUTCH, SPREAD, *more))
    tape = TapeBuilder(engine.params.to_json())
    tape.now_ns = NOW_NS

    def step(*records: np.ndarray) -> None:
        rows = [words(r) for r in records]
        for row in rows:
            row[:, 3] = tape.now_ns
        taped(engine, tape, *rows)

    is_open = status(MarketStatus.OPEN)
    step(*account(), instrument(UP), instrument(DOWN), is_open)
    random = np.random.default_rng(3)
    for number in range(200):
        mid = int(random.integers(20, 80))
        step(
            book(UP, {f"0.{mid - 1:02}": "100"}, {f"0.{mid + 1:02}": "100"}),
            book(DOWN, {f"0.{99 - mid:02}": "100"}, {f"0.{101 - mid - number % 9:02}": "100"}),
        )
        step(*(answer for row in typed_orders(tape.rows[-40:]) for answer in answers(row)))
        tape.now_ns += 300_000_000
    return tape


def typed_orders(rows: np.ndarray) -> list[np.void]:
    """The orders the core gave in the last batch of rows."""
    opens = np.flatnonzero(((rows[:, 0] & 0xFFFF) == Kind.TIMER) & ((rows[:, 0] >> 24) & 8 != 0))
    last = rows[opens[-1] :]
    found = np.ascontiguousarray(last[(last[:, 0] & 0xFFFF) == Kind.NEW_ORDER])
    return list(typed(found, Kind.NEW_ORDER))


def answers(order: np.void) -> list[np.ndarray]:
    """What a signer would say of an order: signed, then rejected by the venue."""
    order_id = int(order["order_id"])
    return [
        report(Kind.SIGNED, order_id, order_hash=digest("order", order_id)),
        report(Kind.REJECT, order_id, reason=Reason.VENUE_KILLED),
    ]


def test_the_real_core_repeats_itself_to_the_byte(tmp_path: Path):
    """A tape of the core, read back with nothing but its header, gives every byte again."""
    path = core_tape().write(tmp_path / "t.ht")
    with TapeReader(path) as tape:
        verdict = replay(tape, Engine(EngineParams.from_json(tape.header.params_text)))
    assert verdict.is_clean, verdict.first
    assert verdict.batches == 401
    assert verdict.outputs > 100


def test_armed_takes_replay_like_everything_else(tmp_path: Path):
    """What was armed, what left armed and what was disarmed: all of it again, byte for byte."""
    snipers = [sniper(limit=cent * 10_000, instrument=i) for cent in (30, 45) for i in (UP, DOWN)]
    built = core_tape(*snipers)
    path = built.write(tmp_path / "t.ht")
    with TapeReader(path) as tape:
        verdict = replay(tape, Engine(EngineParams.from_json(tape.header.params_text)))
    assert verdict.is_clean, verdict.first
    arms = built.rows[(built.rows[:, 0] & 0xFFFF) == Kind.ARM]
    engaged = typed(np.ascontiguousarray(arms), Kind.ARM)["engaged"]
    orders = built.rows[(built.rows[:, 0] & 0xFFFF) == Kind.NEW_ORDER]
    by_snipers = typed(np.ascontiguousarray(orders), Kind.NEW_ORDER)["strategy"] > 2
    assert by_snipers.sum() > 20
    assert engaged.sum() > by_snipers.sum()


def test_the_real_core_notices_another_book(tmp_path: Path):
    """With one byte of one book changed, the first command it changes is named."""
    path = core_tape().write(tmp_path / "t.ht")
    with TapeReader(path) as tape:
        rows = next(iter(tape.slices())).rows
    at = int(np.flatnonzero((rows[:, 0] & 0xFFFF) == Kind.LEVELS)[2])
    flip(path, at, offset=32 + 1)  # the price of a level
    with TapeReader(path) as tape:
        verdict = replay(tape, Engine(EngineParams.from_json(tape.header.params_text)))
    assert [d.sequence for d in verdict.damage] == [at]
    assert verdict.first is not None
    assert verdict.first.sequence > at
