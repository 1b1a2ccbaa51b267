"""The recorder: from the ring to the file, through lapping, restart and failure."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from deadlines import wait_until

from engine.backoffice.metrics import MetricsDuty
from engine.backoffice.recorder import COUNTERS, RecorderDuty
from engine.backoffice.store.port import StoreError
from engine.bus.counters import CounterFile, read_counters
from engine.bus.ring import BroadcastWriter, Discipline, create_ring
from engine.host.duty import State, create_counters
from engine.host.errors import HostError
from engine.host.runfile import RunFile
from engine.tape.format import TapeError
from engine.tape.reader import Gap, TapeReader
from engine.wire.codes import Kind
from engine.wire.records import RECORD_WORDS

CAPACITY = 64
SETTINGS: dict[str, Any] = {
    "recorder": {"sqlite": True, "metrics_port": 0},
    "host": {"instruments_max": 16},
    "strategy": {},
    "risk": {
        "order_notional_usd_max": "1",
        "market_notional_usd_max": "1",
        "total_notional_usd_max": "1",
        "book_age_ms_max": 1,
        "orders_per_second_max": 1,
        "orders_open_max": 1,
        "cash_usd_min": "0",
        "private_silence_ms_max": 1,
        "read_back_age_ms_max": 1,
    },
}


@pytest.fixture
def run(tmp_path: Path) -> RunFile:
    """A run with a tape ring and nobody else in it."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    create_ring(runtime / "tape.ring", Discipline.BROADCAST, CAPACITY, run_id=5)
    return RunFile(5, 0, SETTINGS, str(tmp_path / "state"), runtime_dir=runtime)


@pytest.fixture
def ring(run: RunFile) -> Iterator[BroadcastWriter]:
    """The core's end of the tape ring."""
    writer = BroadcastWriter(run.ring("tape"), run.run_id)
    yield writer
    writer.close()


def rows(first: int, count: int) -> np.ndarray:
    """Rows that carry their own tape sequence as the trace."""
    made = np.zeros((count, RECORD_WORDS), np.int64)
    made[:, 0] = Kind.TIMER
    made[:, 1] = np.arange(first, first + count)
    return made


def record(run: RunFile, during: Callable[[RecorderDuty], None] | None = None) -> dict[str, int]:
    """Run a recorder until the ring is empty; return its counters."""
    counters = create_counters(run.counters("recorder"), COUNTERS)
    duty = RecorderDuty(run, counters)
    try:
        duty.start()
        if during is not None:
            during(duty)
        while not duty.drain():
            duty.work()
    finally:
        duty.close()
        found = counters.snapshot()
        counters.close()
    return found


def taped(run: RunFile) -> tuple[list[int], list[int], list[Gap]]:
    """Sequences, the traces recorded under them, and the gaps of the run's tape."""
    with TapeReader(run.state("tape.ht")) as tape:
        pieces = list(tape.slices())
    sequences = np.concatenate([p.sequences for p in pieces])
    traces = np.concatenate([p.rows[:, 1] for p in pieces])
    return sequences.tolist(), traces.tolist(), [g for p in pieces for g in p.gaps]


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something another thread or process does."""
    wait_until(condition, 20, "what the recorder was to do")


def test_everything_published_is_on_the_tape_in_order(run: RunFile, ring: BroadcastWriter):
    """Draining leaves nothing in the ring, and sequences are the core's."""
    ring.publish(rows(0, 10))
    counters = record(run, lambda _: ring.publish(rows(10, 40)))
    assert taped(run) == (list(range(50)), list(range(50)), [])
    assert (counters["records"], counters["gaps"], counters["lag"]) == (50, 0, 0)
    assert counters["bytes"] == 50 * 144


def test_being_lapped_leaves_a_gap_and_the_right_numbers(run: RunFile, ring: BroadcastWriter):
    """Records overwritten before they were read are a GAP; what follows has its own sequence."""

    def lap(duty: RecorderDuty) -> None:
        ring.publish(rows(0, 10))
        duty.work()
        for first in range(10, 210, 50):
            ring.publish(rows(first, 50))

    counters = record(run, lap)
    sequences, traces, gaps = taped(run)
    assert gaps == [Gap(10, counters["lost"])]
    assert sequences[:11] == list(range(11))
    assert sequences[11:] == traces[11:] == list(range(10 + counters["lost"], 210))
    assert counters["gaps"] == 1


def test_a_restart_goes_on_where_the_file_ends(run: RunFile, ring: BroadcastWriter):
    """A recorder that comes back writes what it missed, once, while the ring still has it."""
    ring.publish(rows(0, 20))
    record(run)
    ring.publish(rows(20, 20))
    record(run)
    assert taped(run) == (list(range(40)), list(range(40)), [])


def test_a_restart_after_too_long_says_what_is_missing(run: RunFile, ring: BroadcastWriter):
    """What the ring has forgotten by the time a recorder comes back is a GAP."""
    ring.publish(rows(0, 20))
    record(run)
    for first in range(20, 220, 40):
        ring.publish(rows(first, 40))
    counters = record(run)
    sequences, traces, gaps = taped(run)
    assert gaps == [Gap(20, counters["lost"])]
    assert sequences[21:] == traces[21:] == list(range(20 + counters["lost"], 220))


def test_a_torn_tail_is_recorded_again(run: RunFile, ring: BroadcastWriter):
    """What a crash tore off the file is cut and written anew from the ring."""
    ring.publish(rows(0, 20))
    record(run)
    path = run.state("tape.ht")
    path.write_bytes(path.read_bytes()[:-100])
    counters = record(run)
    assert counters["torn_bytes"] == 44
    assert taped(run) == (list(range(20)), list(range(20)), [])


def test_the_process_drains_the_ring_when_told_to_stop(run: RunFile, ring: BroadcastWriter):
    """After SIGTERM everything published is on the tape and in the database, and the exit is 0."""
    run.save()
    process = subprocess.Popen([sys.executable, "-m", "engine.backoffice", run.runtime_dir])
    try:
        eventually(lambda: counter(run, "state") == State.READY)
        for first in range(0, 3 * CAPACITY, 16):
            ring.publish(rows(first, 16))
            eventually(lambda seen=first + 16: counter(run, "records") == seen)
        ring.publish(rows(3 * CAPACITY, CAPACITY // 2))
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
    total = 3 * CAPACITY + CAPACITY // 2
    assert taped(run) == (list(range(total)), list(range(total)), [])
    assert alter(run, "SELECT entries FROM projection") == [(total,)]


def counter(run: RunFile, name: str) -> int:
    """A counter of the recorder's process, -1 while it has none."""
    path = run.counters("recorder")
    return read_counters(path).get(name, -1) if path.exists() else -1


def test_a_run_that_is_not_there_is_refused(tmp_path: Path):
    """Without a run file the process says so in one line and exits with 78."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.backoffice", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "run.json" in done.stderr


def test_an_earlier_run_is_set_aside_not_overwritten(run: RunFile, ring: BroadcastWriter):
    """Tape and database of another run keep their content under that run's name."""
    ring.publish(rows(0, 5))
    record(run)
    before = run.state("tape.ht").read_bytes()
    later = replace(run, run_id=6, runtime_dir=run.runtime_dir / "later")
    later.runtime_dir.mkdir()
    create_ring(later.ring("tape"), Discipline.BROADCAST, CAPACITY, run_id=6)
    record(later)
    assert run.state("tape-0000000000000005.ht").read_bytes() == before
    assert run.state("halftick-0000000000000005.db").exists()
    assert alter(run, "SELECT run_id FROM projection") == [("0000000000000006",)]


@pytest.mark.parametrize(("name", "error"), [("tape.ht", TapeError), ("halftick.db", StoreError)])
def test_a_foreign_file_in_the_way_is_refused(
    run: RunFile, ring: BroadcastWriter, name: str, error: type[HostError]
):
    """Something else under the tape's or the database's name is left alone, and named."""
    path = run.state(name)
    path.parent.mkdir()
    path.write_bytes(b"not ours at all, " * 100)
    with pytest.raises(error, match=name):
        record(run)
    assert path.read_bytes() == b"not ours at all, " * 100


def test_an_empty_file_is_a_tape_to_begin(run: RunFile, ring: BroadcastWriter):
    """A recorder that died before its first byte left nothing to keep."""
    run.state("tape.ht").parent.mkdir()
    run.state("tape.ht").touch()
    ring.publish(rows(0, 3))
    record(run)
    assert taped(run)[0] == [0, 1, 2]


def test_slugs_are_kept_beside_the_tape(run: RunFile, ring: BroadcastWriter):
    """What the feeds call the markets outlives the runtime directory."""
    (run.runtime_dir / "instruments.json").write_text('{"instruments": []}')
    record(run)
    assert run.state("instruments.json").read_text() == '{"instruments": []}'


def test_a_failing_database_stops_nothing(run: RunFile, ring: BroadcastWriter):
    """A database that cannot be written is reported; the tape goes on, and so does it, later."""
    failures: list[StoreError] = []

    def fail(duty: RecorderDuty) -> None:
        eventually(lambda: is_projecting(run))
        alter(run, "ALTER TABLE projection RENAME TO elsewhere")
        ring.publish(rows(0, 30))

        def has_failed() -> bool:
            try:
                duty.work()
            except StoreError as error:
                failures.append(error)
            return bool(failures)

        eventually(has_failed)
        alter(run, "ALTER TABLE elsewhere RENAME TO projection")

    counters = record(run, fail)
    assert "halftick.db" in str(failures[0])
    assert counters["records"] == 30
    assert alter(run, "SELECT entries FROM projection") == [(30,)]


def alter(run: RunFile, statement: str) -> list[tuple[Any, ...]]:
    """Do something to the run's database from outside."""
    with closing(sqlite3.connect(run.state("halftick.db"), isolation_level=None)) as db:
        return db.execute(statement).fetchall()


def is_projecting(run: RunFile) -> bool:
    """Whether the projection has been set up."""
    try:
        return bool(alter(run, "SELECT * FROM projection"))
    except sqlite3.Error:
        return False


def test_metrics_show_counters_and_rings(run: RunFile, ring: BroadcastWriter):
    """One scrape has every process's counters and every ring's depth; a broken file spoils none."""
    counters = CounterFile.create(run.counters("core"), ["fills"])
    counters.set(0, 17)
    (run.runtime_dir / "half.counters").write_bytes(b"")
    (run.runtime_dir / "half.ring").write_bytes(b"?")
    ring.publish(rows(0, 3))
    duty = MetricsDuty(run.runtime_dir, 0)
    duty.start()
    try:
        with urlopen(f"http://127.0.0.1:{duty.port}/metrics") as answer:
            text = answer.read().decode()
        busy = MetricsDuty(run.runtime_dir, duty.port)
        with pytest.raises(HostError, match=f"port={duty.port}"):
            busy.start()
    finally:
        duty.close()
        counters.close()
    assert 'halftick_counter{name="fills",process="core"} 17.0' in text
    assert 'halftick_ring_published{ring="tape"} 3.0' in text
    assert f'halftick_ring_capacity{{ring="tape"}} {float(CAPACITY)}' in text


def test_a_full_disk_is_told_and_nothing_is_torn_or_lost(run: RunFile, tmp_path: Path) -> None:
    """What was polled waits and is counted; once there is room the tape is whole, without a gap."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    state = tmp_path / "small"
    state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    small = replace(run, state_dir=str(state))
    settings = {**SETTINGS, "recorder": {"sqlite": False, "metrics_port": 0}}
    small = replace(small, settings=settings)
    writer = BroadcastWriter(run.ring("tape"), run.run_id)
    counters = create_counters(run.counters("recorder"), COUNTERS)
    duty = RecorderDuty(small, counters)

    def counted(name: str) -> int:
        return counters.get(counters.index(name))

    def fails() -> bool:
        with contextlib.suppress(OSError):
            duty.work()
        return counted("tape_stalled_ms") > 150

    def recovers() -> bool:
        duty.work()
        return counted("tape_stalled_ms") == 0

    try:
        duty.start()
        writer.publish(rows(0, 40))
        duty.work()
        room = 128 * 1024 - sum(path.stat().st_blocks * 512 for path in state.iterdir())
        (state / "filler").write_bytes(b"x" * room)  # the last page of the tape has a little room
        writer.publish(rows(40, 60))
        wait_until(fails, 20, "the disk is full")
        assert counted("tape_errno") == errno.ENOSPC
        assert counted("tape_errors") >= 2
        assert not duty.drain()
        (state / "filler").unlink()
        wait_until(recovers, 20, "the disk takes it again")
        assert duty.drain()
        duty.close()
        assert counted("gaps") == 0
        with TapeReader(state / "tape.ht") as tape:
            pieces = [piece.rows for piece in tape.slices()]
        assert np.concatenate(pieces)[:, 1].tolist() == list(range(100))
    finally:
        writer.close()
        counters.close()
        subprocess.run(["umount", "-l", str(state)], check=True)
