"""The core's process end: a batch goes onto the tape in one piece, a dry run goes nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from arming import BOTH, sniper
from core_driver import (
    DOWN,
    DUTCH,
    SPREAD,
    UP,
    account,
    book,
    cash,
    fill,
    instrument,
    params,
    report,
    status,
)
from peers.lines import counted
from raising import raiser

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
)
from engine.bus.ring_header import SLOTS_WORD
from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.core.rehearsal import Rehearsal
from engine.core_duty import COUNTERS, CoreDuty
from engine.host.duty import create_counters
from engine.host.runfile import RunFile
from engine.tape.format import TapeHeader
from engine.tape.reader import TapeReader
from engine.tape.replay import Verdict, replay
from engine.tape.writer import TapeWriter
from engine.wire.codes import Flag, Kind, MarketStatus, Reason
from engine.wire.records import RECORD_WORDS, words

RUN_ID, ROWS = 7, 1 << 12
PARAMS = params(DUTCH, SPREAD)


class Rig:
    """A core on rings of its own, and the far end of each."""

    def __init__(self, directory: Path, parameters: EngineParams = PARAMS) -> None:
        self.directory = directory
        self.parameters = parameters
        run = RunFile(RUN_ID, 0, {"feeds": {"market": {}}}, str(directory), 0, directory)
        for name in ("md.market", "tape"):
            create_ring(run.ring(name), Discipline.BROADCAST, ROWS, RUN_ID)
        for name in ("control", "private", "exec", "orders"):
            create_ring(run.ring(name), Discipline.QUEUE, ROWS, RUN_ID)
        self.market = BroadcastWriter(run.ring("md.market"), RUN_ID)
        self.private = QueueWriter(run.ring("private"), RUN_ID)
        self.tape = BroadcastReader(run.ring("tape"), RUN_ID, from_start=True)
        self.orders = QueueReader(run.ring("orders"), RUN_ID)
        self.counters = create_counters(run.counters("core"), COUNTERS)
        self.core = CoreDuty(run, parameters, self.counters)
        self.core.start()

    def open_market(self) -> None:
        """Publish a market that trades; its books come next."""
        for record in account(10**9):
            self.private.offer(words(record))
        for record in (instrument(UP), instrument(DOWN), status(MarketStatus.OPEN)):
            self.market.publish(words(record))

    def tick(self, ask: str) -> None:
        """Publish both books, sold at `ask`."""
        for index in (UP, DOWN):
            rows = words(book(index, {"0.30": "100"}, {ask: "100"}))
            rows[:, 3] = 1 << 62  # fresh for any clock
            self.market.publish(rows)

    def taped(self) -> np.ndarray:
        """Return what is new on the tape."""
        return _polled(self.tape)

    def told(self) -> np.ndarray:
        """Return what is new for the signer."""
        return _polled(self.orders)

    def replayed(self, taped: np.ndarray) -> Verdict:
        """Return what a fresh core says to these records."""
        path = self.directory / "t.ht"
        writer = TapeWriter(path, TapeHeader(RUN_ID, 0, 0, self.parameters.to_json()))
        writer.append(taped, 0)
        writer.close()
        with TapeReader(path) as reader:
            return replay(reader, Engine(self.parameters))

    def close(self) -> None:
        """Let go of the far ends."""
        for end in (self.market, self.private, self.tape, self.orders, self.counters):
            end.close()


class SignedWhilePolled:
    """A reader of `private`; what names the fill's order comes to `exec` while it is polled."""

    def __init__(self, reader: QueueReader, path: Path) -> None:
        self._reader = reader
        self._exec = QueueWriter(path, RUN_ID)

    @property
    def has_news(self) -> bool:
        """Whether there is a fill."""
        return self._reader.has_news

    def poll(self, out: np.ndarray) -> int:
        """Take the fill; then SIGNED is there."""
        count = self._reader.poll(out)
        self._exec.offer(words(report(Kind.SIGNED, 1)))
        return count

    def close(self) -> None:
        """Let go of both."""
        self._reader.close()
        self._exec.close()


def _polled(reader: BroadcastReader | QueueReader) -> np.ndarray:
    out = np.zeros((ROWS, 16), np.int64)
    return out[: reader.poll(out)]


def kinds(rows: np.ndarray) -> list[Kind]:
    """Return the kinds of some records."""
    return [Kind(word & 0xFFFF) for word in rows[:, 0].tolist()]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A core that has started."""
    made = Rig(tmp_path)
    yield made
    made.core.close()
    made.close()


def test_commands_leave_before_their_batch_is_on_the_tape(rig: Rig):
    """A signer on the same thread comes first; the core's next round begins with the tape."""
    rig.open_market()
    rig.core.work()
    assert Kind.INSTRUMENT in kinds(rig.told())
    assert len(rig.taped()) == 0
    rig.core.work()
    taped = rig.taped()
    assert kinds(taped)[0] == kinds(taped)[-1] == Kind.TIMER
    flags = (taped[[0, -1], 0] >> 24) & 0xFF
    assert flags.tolist() == [Flag.BATCH, Flag.PUBLISHED]


def test_who_reads_a_fill_has_read_its_order(rig: Rig):
    """SIGNED comes to `exec` before its fill comes to `private`, so `exec` is looked at after
    `private` was polled, and applied before it."""
    rig.core.work()
    path = rig.core._exec.path
    rig.core._private = SignedWhilePolled(rig.core._private, path)  # type: ignore[assignment]
    rig.private.offer(words(fill(b"1" * 32, "0.5", "1")))
    rig.core.work()
    rig.core.work()
    taped = kinds(rig.taped())
    assert taped.index(Kind.SIGNED) < taped.index(Kind.FILL)


def test_looking_for_news_costs_few_bytecodes(rig: Rig):
    """A look at each ring, and a call only of the one that has something; the same on every
    machine."""
    rig.tick("0.60")
    rig.core._poll()
    idle = counted(rig.core._poll)
    assert idle["bytecodes"] <= 90
    assert idle["calls"] <= 5
    rig.tick("0.60")
    assert counted(rig.core._poll)["bytecodes"] <= 135


def test_a_core_is_called_for_while_anything_waits(rig: Rig):
    """A ring with something in it, or a batch that is not on the tape; then not any more."""
    assert not rig.core.is_called_for()
    rig.open_market()
    assert rig.core.is_called_for()
    rig.core.work()
    assert rig.core.is_called_for(), "its batch had commands and is not on the tape"
    while rig.core.work():
        pass
    assert not rig.core.is_called_for()


def test_a_core_that_is_closed_owes_the_tape_nothing(tmp_path: Path):
    """Its last batch is written even when no round follows."""
    rig = Rig(tmp_path)
    rig.open_market()
    rig.core.work()
    rig.core.close()
    assert Kind.INSTRUMENT in kinds(rig.taped())
    rig.close()


def test_a_dry_run_decides_and_orders_in_a_world_apart(rig: Rig):
    """Every strategy that trades is made to; nothing of it reaches a ring or the sequence."""
    rehearsal = Rehearsal(PARAMS)
    for _ in range(5):
        assert kinds(rehearsal.run()).count(Kind.NEW_ORDER) == 4
        rig.core.keep_warm()
    assert len(rig.told()) == len(rig.taped()) == 0
    rig.core.work()
    assert int(rig.taped()[0, 1]) == 0
    assert not rig.core.engine.world.instruments.markets


def test_a_world_of_dry_runs_does_not_grow():
    """It is kept for as long as the process lives, thousands of runs a second."""
    rehearsal = Rehearsal(PARAMS)
    orders = rehearsal._engine.world.orders
    for _ in range(50):
        ordered = kinds(rehearsal.run()).count(Kind.NEW_ORDER)
        assert len(orders.by_id) == orders.working_count == ordered
    assert not orders.by_hash


def test_a_run_with_dry_runs_replays_to_the_same_bytes(rig: Rig):
    """Between any two batches there may be dry runs: the tape knows nothing of them."""
    rig.open_market()
    for ask in ("0.60", "0.40", "0.41", "0.60", "0.42"):
        for _ in range(3):
            rig.core.keep_warm()
        rig.core.work()
        rig.tick(ask)
        rig.core.keep_warm()
    for _ in range(3):
        rig.core.work()
    taped = rig.taped()
    assert Kind.NEW_ORDER in kinds(taped)
    verdict = rig.replayed(taped)
    assert verdict.is_clean, verdict.first
    assert verdict.batches >= 5
    assert verdict.outputs == kinds(taped).count(Kind.DECISION) + len(rig.told())


def test_an_armed_take_leaves_in_the_round_of_its_tick_and_is_armed_again_in_the_next(
    tmp_path: Path,
):
    """The order is with the signer before anybody is asked; the next round comes without a cause.

    What is on the tape is a batch of one tick and one of nothing, and replays to the same bytes.
    """
    rig = Rig(tmp_path, params(sniper(limit=400_000)))
    rig.open_market()
    rig.tick("0.60")
    rig.core.work()
    assert kinds(rig.told())[-1] == Kind.ARM
    rig.tick("0.40")
    rig.core.work()
    assert kinds(rig.told()) == [Kind.NEW_ORDER]
    rig.core.work()
    assert kinds(rig.told()) == [Kind.ARM]
    rig.core.work()
    verdict = rig.replayed(rig.taped())
    assert verdict.is_clean, verdict.first
    rig.core.close()
    rig.close()


def test_dry_runs_of_a_strategy_that_arms_leave_nothing_behind():
    """Armed takes fire in the world apart, and what its strategy does then is refused there too."""
    rehearsal = Rehearsal(params(sniper(limit=410_000, is_armed=BOTH)))
    ordered = [kinds(rehearsal.run()).count(Kind.NEW_ORDER) for _ in range(20)]
    assert ordered[-4:] == [1, 1, 1, 1]
    assert rehearsal._engine.world.orders.working_count <= 3


def test_a_strategy_that_raises_is_noted_and_the_core_goes_on(tmp_path: Path):
    """The commands of that very step leave, the next batches come, and the tape is proof of it."""
    rig = Rig(tmp_path, params(raiser(limit=400_000), SPREAD))
    noted: list[tuple[str, BaseException]] = []
    rig.core.on_fenced(lambda where, error: noted.append((where, error)))
    rig.open_market()
    for ask in ("0.60", "0.40", "0.39", "0.60"):
        rig.tick(ask)
        rig.core.work()
    rig.core.work()
    ((where, error),) = noted
    assert where == "core: strategy=raiser, market=0, instruments=1,2"
    assert isinstance(error, ZeroDivisionError)
    assert rig.core.engine.failures == []
    taped = rig.taped()
    assert kinds(taped).count(Kind.LEVELS) == 8
    verdict = rig.replayed(taped)
    assert verdict.is_clean, verdict.first
    rig.core.close()
    assert rig.counters.snapshot()["markets_halted"] == 1
    rig.close()


def test_a_strategy_that_raises_is_fatal_where_nobody_notes_it(tmp_path: Path):
    """An error that no log has heard of must not be lost; what was decided is on the tape still."""
    rig = Rig(tmp_path, params(raiser(limit=400_000)))
    rig.open_market()
    rig.tick("0.40")
    with pytest.raises(ZeroDivisionError, match="cannot live"):
        rig.core.work()
    rig.core.close()
    assert Kind.DECISION in kinds(rig.taped())
    rig.close()


@pytest.mark.parametrize("name", ["control", "private", "exec"])
def test_a_damaged_record_halts_the_core_and_is_not_believed(rig: Rig, name: str):
    """A queue's record that is changed on its way is never applied, nor is any after it; the core
    halts in that very batch and says why, on the tape too, and has no more to do there."""
    writer = rig.private
    path = rig.directory / f"{name}.ring"
    if name != "private":
        writer = QueueWriter(path, RUN_ID)
    file = np.memmap(path, np.int64, "r+")
    assert writer.offer(np.concatenate([words(cash(number)) for number in (1, 2, 3)]))
    file[SLOTS_WORD + RECORD_WORDS + 4] += 1 << 40
    while rig.core.is_called_for():
        rig.core.work()
    taped = rig.taped()
    kinds = (taped[:, 0] & 0xFFFF).tolist()
    assert kinds.count(Kind.BALANCE) == 1
    assert kinds.count(Kind.HALT) == 1
    assert rig.core.engine.world.halted == Reason.HALT_RECORD_DAMAGED
    assert writer.offer(words(cash(4)))
    assert not rig.core.is_called_for()
    assert not rig.replayed(taped).divergent_batches
    if writer is not rig.private:
        writer.close()
