"""Counters: written by one process, read by anyone."""

from __future__ import annotations

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
