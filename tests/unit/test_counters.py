"""Counters: written by one process, read by anyone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.bus.counters import CounterFile
from engine.bus.shm import BusError

NAMES = ["heartbeat_ns", "state", "frames.bad"]


def test_a_fresh_file_counts_from_zero(tmp_path: Path):
    """All counters of a new file are 0 and found by name."""
    counters = CounterFile.create(tmp_path / "feed.counters", NAMES)
    assert counters.snapshot() == {"heartbeat_ns": 0, "state": 0, "frames.bad": 0}
    assert [counters.index(name) for name in NAMES] == [0, 1, 2]
    counters.close()


def test_what_is_counted_is_seen_from_outside(tmp_path: Path):
    """An observer that attached earlier sees every later add and set, negative ones too."""
    path = tmp_path / "feed.counters"
    counters = CounterFile.create(path, NAMES)
    observer = CounterFile.attach(path)
    counters.add(2)
    counters.add(2, 41)
    counters.set(1, -(2**63))
    assert observer.names == tuple(NAMES)
    assert observer.get(2) == 42
    assert observer.snapshot() == {"heartbeat_ns": 0, "state": -(2**63), "frames.bad": 42}
    counters.close()
    observer.close()


def test_an_observer_cannot_write(tmp_path: Path):
    """Counters belong to the process that made them."""
    path = tmp_path / "feed.counters"
    CounterFile.create(path, NAMES).close()
    observer = CounterFile.attach(path)
    with pytest.raises(TypeError):
        observer.add(0)
    observer.close()


def test_a_restarted_process_replaces_its_file(tmp_path: Path):
    """The second life of a process starts from 0; whoever watches the first still can."""
    path = tmp_path / "feed.counters"
    first = CounterFile.create(path, NAMES)
    first.add(0, 7)
    second = CounterFile.create(path, [*NAMES, "new"])
    observer = CounterFile.attach(path)
    assert observer.get(observer.index("new")) == 0
    assert (first.get(0), second.get(0)) == (7, 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["feed.counters"]
    for counters in (first, second, observer):
        counters.close()


def test_no_counters_is_a_valid_file(tmp_path: Path):
    """A process without counters of its own still has a readable file."""
    CounterFile.create(tmp_path / "x.counters", []).close()
    observer = CounterFile.attach(tmp_path / "x.counters")
    assert observer.snapshot() == {}
    observer.close()


@pytest.mark.parametrize("names", [["a", "a"], [""], ["x" * 65], ["é" * 33]])
def test_bad_names_are_refused_by_name(tmp_path: Path, names: list[str]):
    """Empty, repeated and overlong names are errors that show the name."""
    with pytest.raises(BusError, match="counter names must be unique") as caught:
        CounterFile.create(tmp_path / "x.counters", names)
    assert repr(names[0]) in str(caught.value)


def test_an_unknown_name_is_refused(tmp_path: Path):
    """Asking for a counter that is not there names it."""
    counters = CounterFile.create(tmp_path / "x.counters", NAMES)
    with pytest.raises(BusError, match=r"no such counter: .*name=nothing"):
        counters.index("nothing")
    counters.close()


def test_closing_twice_is_harmless(tmp_path: Path):
    """The second `close` does nothing, and the file stays for whoever comes later."""
    counters = CounterFile.create(tmp_path / "x.counters", NAMES)
    counters.close()
    counters.close()
    assert (tmp_path / "x.counters").exists()


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 64, b"HTCOUNT1" + b"\xff" * 8, None])
def test_what_is_no_counter_file_is_refused(tmp_path: Path, content: bytes | None):
    """Absent, empty, truncated and foreign files are errors that name the file."""
    path = tmp_path / "x.counters"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BusError, match=r"x\.counters"):
        CounterFile.attach(path)


def test_names_that_are_no_text_are_refused(tmp_path: Path):
    """Somebody wrote over the names: an error that names the file, not one of decoding."""
    path = tmp_path / "x.counters"
    CounterFile.create(path, NAMES).close()
    path.write_bytes(path.read_bytes()[:-64] + b"\xff" * 64)
    with pytest.raises(BusError, match=r"not UTF-8: file=.*x\.counters"):
        CounterFile.attach(path)


def test_a_pipe_in_its_place_keeps_nobody_waiting(tmp_path: Path):
    """What is no plain file is refused at once, with nobody at the other end of it."""
    os.mkfifo(tmp_path / "x.counters")
    with pytest.raises(BusError, match=r"plain file of ours: file=.*x\.counters"):
        CounterFile.attach(tmp_path / "x.counters")


@pytest.mark.parametrize("bytes_left", [0, 8, 40, 200])
def test_who_watches_a_file_that_is_cut_is_told(tmp_path: Path, bytes_left: int):
    """Wherever it was cut, the next look is an error that names the file, and never a SIGBUS."""
    path = tmp_path / "x.counters"
    CounterFile.create(path, NAMES).close()
    observer = CounterFile.attach(path)
    assert observer.snapshot() == dict.fromkeys(NAMES, 0)
    os.truncate(path, bytes_left)
    said = rf"cut or overwritten: file=.*x\.counters, bytes={bytes_left}, expected=232"
    with pytest.raises(BusError, match=said):
        observer.snapshot()
    with pytest.raises(BusError, match=said):
        observer.get(0)
    observer.close()


def test_zeros_in_place_of_what_was_cut_are_not_believed(tmp_path: Path):
    """A file that is cut and made as long again is as little a counter file as a short one."""
    path = tmp_path / "x.counters"
    CounterFile.create(path, NAMES).close()
    observer = CounterFile.attach(path)
    os.truncate(path, 0)
    os.truncate(path, 232)
    with pytest.raises(BusError, match=r"cut or overwritten: file=.*x\.counters"):
        observer.get(0)
    observer.close()
