"""Between rounds: who comes after an arrival works at once, and idle rounds keep the code warm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hand_clock import HandClock

from engine.bus.counters import CounterFile
from engine.host.duty import DRY_RUNS, ERRORS, ROUNDS, WORK, create_counters
from engine.host.duty_loop import GLANCES_NS, DutyLoop
from engine.host.idle import Idle, Wait
from engine.host.log import ErrorLog

WARM_US = 50
WARM_NS = WARM_US * 1_000


class Worker:
    """A duty that says what it did, in a list all workers share."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told
        self.todo = 0
        self.fails = False

    def start(self) -> None:
        """Nothing to prepare."""

    def work(self) -> int:
        """Do all there is to do."""
        if self.fails:
            raise ValueError("it cannot")
        done, self.todo = self.todo, 0
        if done:
            self.told.append(self.name)
        return done

    def close(self) -> None:
        """Say that it was closed."""
        self.told.append(f"{self.name} closed")


class Source(Worker):
    """A duty whose input the test brings, as a socket's callback would."""

    work_next: Callable[[], None] | None = None

    def on_arrival(self, work_next: Callable[[], None]) -> None:
        """Keep what to call."""
        self.work_next = work_next


class Athlete(Worker):
    """A duty that keeps warm."""

    is_hurt = False

    def keep_warm(self) -> None:
        """Make a dry run."""
        if self.is_hurt:
            raise ValueError("it cannot")
        self.told.append(f"{self.name} warm")


class EarlyAthlete(Athlete, Source):
    """A duty that hears first, and keeps warm."""


class Rig:
    """A source, and two who come after it."""

    def __init__(
        self, directory: Path, wait: Wait = Wait.YIELD, source: type[Source] = Source
    ) -> None:
        self.told: list[str] = []
        self.clock = HandClock()
        self.source = source("source", self.told)
        self.core, self.signer = Athlete("core", self.told), Athlete("signer", self.told)
        self.counters: CounterFile = create_counters(directory / "t.counters")
        self.loop = DutyLoop(
            [self.source, self.core, self.signer],
            self.counters,
            Idle(wait),
            self.clock,
            ErrorLog(directory / "t.errors.json", self.clock),
            errors_are_fatal=True,
            drain_s_max=1.0,
            chain=[self.core, self.signer],
            warm_us=WARM_US,
        )
        self.loop.start()

    def arrive(self) -> None:
        """Have something come for both, and be handed on."""
        self.core.todo = self.signer.todo = 1
        assert self.source.work_next is not None
        self.source.work_next()

    def round(self, after_ns: int = 0) -> int:
        """Make a round; return what it says was done."""
        self.clock.at_ns += after_ns
        return self.loop.round()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A loop that is started, and closed behind the test."""
    made = Rig(tmp_path)
    yield made
    made.loop.close()
    made.counters.close()


def test_who_comes_after_an_arrival_works_before_the_next_round(rig: Rig):
    """Core and signer have worked, in this order, when the callback returns."""
    rig.arrive()
    assert rig.told == ["core", "signer"]


def test_what_was_done_between_rounds_is_counted_by_the_next(rig: Rig):
    """A loop whose work is all done in callbacks is no idle loop, and never counts it twice."""
    rig.arrive()
    assert rig.round(WARM_NS) == 2
    assert rig.counters.get(WORK) == 2
    assert rig.counters.get(DRY_RUNS) == 0
    assert rig.round() == 0


def test_an_error_between_rounds_is_answered_as_one_within(rig: Rig):
    """It is counted, the next duty works all the same, and a fatal one begins the stop."""
    rig.core.fails = True
    rig.arrive()
    assert rig.told == ["signer"]
    assert rig.counters.get(ERRORS) == 1
    assert rig.loop.is_stopping
    rig.core.fails = False


def test_what_arrives_while_closing_works_nobody(tmp_path: Path):
    """A socket that still brings frames finds the rings behind it let go of."""
    rig = Rig(tmp_path)
    rig.loop.close()
    rig.arrive()
    assert rig.told == ["signer closed", "core closed", "source closed"]
    rig.counters.close()


def test_idle_rounds_keep_one_duty_warm_at_a_time(rig: Rig):
    """They take turns, so that what arrives waits for one dry run at most."""
    for _ in range(3):
        rig.round(WARM_NS)
    assert rig.told == ["core warm", "signer warm", "core warm"]
    assert rig.counters.get(DRY_RUNS) == 3


def test_who_hears_first_is_warmed_after_each_of_the_others(tmp_path: Path):
    """Its code is needed soonest, and the others' runs push it out of the caches."""
    rig = Rig(tmp_path, source=EarlyAthlete)
    for _ in range(2):
        rig.round(WARM_NS)
    assert rig.told == ["core warm", "source warm", "signer warm", "source warm"]
    rig.loop.close()
    rig.counters.close()


def test_dry_runs_keep_their_distance(rig: Rig):
    """Within `warm_us` of the last one there is no other."""
    rig.round(WARM_NS)
    rig.round(WARM_NS - 1)
    assert rig.counters.get(DRY_RUNS) == 1


def test_a_round_that_found_work_makes_no_dry_run(rig: Rig):
    """Whoever has work keeps warm by doing it."""
    for _ in range(5):
        rig.core.todo = 1
        rig.round(WARM_NS)
    assert rig.counters.get(DRY_RUNS) == 0


@pytest.mark.parametrize("wait", [Wait.PARK, Wait.SOCKETS])
def test_a_loop_that_sleeps_makes_no_dry_runs(tmp_path: Path, wait: Wait):
    """Its core is wanted by others; warmth would not outlast the sleep."""
    rig = Rig(tmp_path, wait)
    for _ in range(5):
        rig.round(WARM_NS)
    assert rig.counters.get(DRY_RUNS) == 0
    rig.loop.close()
    rig.counters.close()


def test_a_failing_dry_run_is_counted_and_not_repeated(rig: Rig):
    """Nothing of the run hangs on it: the process lives on, even where errors are fatal."""
    rig.core.is_hurt = True
    for _ in range(3):
        rig.round(WARM_NS)
    assert rig.told == ["signer warm", "signer warm"]
    assert rig.counters.get(ERRORS) == 1
    assert not rig.loop.is_stopping


class Watcher(Worker):
    """A duty that sees at a glance whether there is something for it."""

    def is_called_for(self) -> bool:
        """Look at what the test has put there."""
        self.told.append(f"{self.name} glanced")
        return self.todo > 0


class GlancingRig:
    """A duty without eyes, whose input comes in callbacks, and one that looks for itself."""

    def __init__(self, directory: Path, wait: Wait = Wait.YIELD) -> None:
        self.told: list[str] = []
        self.clock = HandClock()
        self.source, self.core = Source("source", self.told), Watcher("core", self.told)
        self.counters: CounterFile = create_counters(directory / "t.counters")
        self.loop = DutyLoop(
            [self.source, self.core],
            self.counters,
            Idle(wait),
            self.clock,
            ErrorLog(directory / "t.errors.json", self.clock),
            errors_are_fatal=True,
            drain_s_max=1.0,
            chain=[self.core],
        )
        self.loop.start()

    def rounds(self, *after_ns: int) -> int:
        """Make rounds, each so much later; return how many of them were whole."""
        before = self.counters.get(ROUNDS)
        for each in after_ns:
            self.clock.at_ns += each
            self.loop.round()
        return self.counters.get(ROUNDS) - before

    def close(self) -> None:
        """End it."""
        self.loop.close()
        self.counters.close()


@pytest.fixture
def glancing(tmp_path: Path) -> Iterator[GlancingRig]:
    """A loop that is started, and closed behind the test."""
    made = GlancingRig(tmp_path)
    yield made
    made.close()


def test_after_an_idle_round_a_loop_glances_for_a_while(glancing: GlancingRig):
    """A round nobody is called for is cut short, until the whole one is old enough."""
    assert glancing.rounds(0) == 1
    assert glancing.rounds(1, GLANCES_NS - 2) == 0
    assert glancing.told == ["core glanced"] * 2
    assert glancing.rounds(1) == 1


def test_what_a_glance_finds_is_worked_at_once(glancing: GlancingRig):
    """By everybody: the round is a whole one, and so is the next after it."""
    glancing.rounds(0)
    glancing.core.todo = 1
    assert glancing.rounds(1, 1, 1) == 2


def test_what_was_done_between_rounds_makes_the_next_a_whole_one(glancing: GlancingRig):
    """Whoever has worked in a callback may have left something for later."""
    glancing.rounds(0)
    assert glancing.source.work_next is not None
    glancing.core.todo = 1
    glancing.source.work_next()
    glancing.told.clear()
    assert glancing.rounds(1) == 1
    assert "core glanced" not in glancing.told


def test_a_loop_that_sleeps_does_not_glance(tmp_path: Path):
    """It turns when something has come, and then everybody is to know."""
    rig = GlancingRig(tmp_path, Wait.PARK)
    assert rig.rounds(0, 1, 1) == 3
    assert "core glanced" not in rig.told
    rig.close()
