"""A reader that sleeps on its rings is woken by who writes, in any language, and never missed."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import numpy as np
import pytest
from conformance import LANGUAGES
from deadlines import wait_until

from engine.bus import wait
from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
)
from engine.bus.ring_header import HEAD_WORD, SLOTS_WORD, WAITING_WORD
from engine.bus.wait import Sleeper
from engine.wire.records import RECORD_WORDS

RUN_ID = 9
DEADLINE_S = 60.0
HOUR_US = 3_600_000_000  # who is missed sleeps until the test's own time-out
ROW = np.ones((1, RECORD_WORDS), np.int64)


def header(path: Path) -> np.ndarray:
    """Return a view of a ring's words."""
    return np.memmap(path, np.int64, "r+")


def take_all(sleeper: Sleeper, reader: QueueReader | BroadcastReader, count: int) -> None:
    """Read `count` records, asleep whenever there is none."""
    out = np.empty((64, RECORD_WORDS), np.int64)
    while count:
        taken = reader.poll(out[: min(count, len(out))])
        count -= taken
        if not taken:
            sleeper.sleep(HOUR_US)


@pytest.mark.parametrize("language", ["python", *LANGUAGES])
@pytest.mark.parametrize("discipline", Discipline, ids=lambda d: d.name)
def test_a_sleeping_reader_is_woken(
    runtime_dir: Path, compiled, peer, language: str, discipline: Discipline
):
    """A writer of any language wakes the reader that was asleep before the writer was there."""
    path = runtime_dir / "x.ring"
    create_ring(path, discipline, 64, RUN_ID)
    role = "offer" if discipline is Discipline.QUEUE else "publish"
    kind = QueueReader if discipline is Discipline.QUEUE else BroadcastReader
    reader = kind(path, RUN_ID)
    sleeper = Sleeper([reader])
    program = compiled(language, "peer") if language != "python" else None
    thread = threading.Thread(target=take_all, args=(sleeper, reader, 1))
    thread.start()
    wait_until(lambda: header(path)[WAITING_WORD] == 1, DEADLINE_S, "the reader sleeps")
    peer(role, path, RUN_ID, 1, program=program)
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the reader was not woken"
    assert header(path)[WAITING_WORD] == 0
    sleeper.close()
    reader.close()


def test_no_wake_up_is_ever_missed(runtime_dir: Path, peer):
    """Two processes hand one record back and forth, asleep at every turn, and never hang."""
    turns = 5_000
    there, back = runtime_dir / "there.ring", runtime_dir / "back.ring"
    for path in (there, back):
        create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer, reader = QueueWriter(there, RUN_ID), QueueReader(back, RUN_ID)
    other = peer("echo", there, RUN_ID, turns)
    sleeper = Sleeper([reader])

    def play() -> None:
        for _ in range(turns):
            assert writer.offer(ROW)
            take_all(sleeper, reader, 1)

    player = threading.Thread(target=play, daemon=True)
    player.start()
    player.join(DEADLINE_S)
    assert not player.is_alive(), "a wake-up was missed"
    assert other.wait(DEADLINE_S) == 0
    sleeper.close()
    writer.close()
    reader.close()


def test_a_writer_that_died_before_it_woke_leaves_nobody_asleep(runtime_dir: Path):
    """Its record is there, its call to the kernel is not: who attaches next makes up for it."""
    path = runtime_dir / "x.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    sleeper = Sleeper([reader])
    thread = threading.Thread(target=take_all, args=(sleeper, reader, 1))
    thread.start()
    wait_until(lambda: header(path)[WAITING_WORD] == 1, DEADLINE_S, "the reader says so")
    wait_until(lambda: is_in_futex(thread), DEADLINE_S, "the reader sleeps")
    header(path)[SLOTS_WORD:] = one_record(runtime_dir / "y.ring")
    header(path)[[WAITING_WORD, HEAD_WORD]] = 0, 1  # all of an offer but the call
    writer = QueueWriter(path, RUN_ID)
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the reader was not woken"
    for end in (sleeper, reader, writer):
        end.close()


def one_record(path: Path) -> np.ndarray:
    """Return slots and seals of a queue of 64 with one record in it, int64[n]."""
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer = QueueWriter(path, RUN_ID)
    assert writer.offer(ROW)
    writer.close()
    return header(path)[SLOTS_WORD:].copy()


def is_in_futex(thread: threading.Thread) -> bool:
    """Return whether a thread of this process is asleep in the kernel on several words."""
    call = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()[0]
    return call == str(wait._FUTEX_WAITV)


def test_any_of_several_rings_wakes(runtime_dir: Path):
    """A reader of two rings that sleeps on both is woken by the second alone."""
    queue, broadcast = runtime_dir / "q.ring", runtime_dir / "b.ring"
    create_ring(queue, Discipline.QUEUE, 64, RUN_ID)
    create_ring(broadcast, Discipline.BROADCAST, 64, RUN_ID)
    first, second = QueueReader(queue, RUN_ID), BroadcastReader(broadcast, RUN_ID)
    writer = BroadcastWriter(broadcast, RUN_ID)
    sleeper = Sleeper([first, second])
    thread = threading.Thread(target=sleeper.sleep, args=(HOUR_US,))
    thread.start()
    wait_until(lambda: header(broadcast)[WAITING_WORD] == 1, DEADLINE_S, "the reader sleeps")
    writer.publish(ROW)
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the reader was not woken"
    assert second.poll(np.empty((4, RECORD_WORDS), np.int64)) == 1
    sleeper.close()
    for end in (first, second, writer):
        end.close()


def test_nobody_sleeps_over_what_is_there(runtime_dir: Path):
    """A ring with something unread makes sleeping return at once, and so does time being over."""
    path = runtime_dir / "q.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer, reader = QueueWriter(path, RUN_ID), QueueReader(path, RUN_ID)
    sleeper = Sleeper([reader])
    sleeper.sleep(1_000)
    assert writer.offer(ROW)
    sleeper.sleep(HOUR_US)
    assert reader.poll(np.empty((4, RECORD_WORDS), np.int64)) == 1
    sleeper.close()
    sleeper.close()
    writer.close()
    reader.close()


def test_without_the_kernels_help_it_merely_sleeps(runtime_dir: Path, monkeypatch):
    """On a system that cannot wait for several words, sleeping lasts its time and no longer."""

    def absent(*_: object) -> int:
        wait.ctypes.set_errno(errno.ENOSYS)
        return -1

    path = runtime_dir / "q.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    slept: list[float] = []
    monkeypatch.setattr(wait, "_syscall", absent)
    monkeypatch.setattr(wait.time, "sleep", slept.append)
    sleeper = Sleeper([reader])
    sleeper.sleep(100)
    assert slept == [pytest.approx(1e-4)]
    sleeper.close()
    reader.close()
