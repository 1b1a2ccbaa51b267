"""A ring file that is not as it was made is found by looking at it, whichever ring it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.bus import ring_header
from engine.bus.ring import Discipline, create_ring
from engine.host.ring_guard import RingGuard

RUN_ID = 3
CAPACITY = 64
RINGS = {
    "control": Discipline.QUEUE,
    "private": Discipline.QUEUE,
    "exec": Discipline.QUEUE,
    "orders": Discipline.QUEUE,
    "md.market": Discipline.BROADCAST,
    "tape": Discipline.BROADCAST,
}


def cut_to(size: int) -> Callable[[Path], None]:
    """Return what cuts a file."""
    return lambda path: os.truncate(path, size)


def replace(path: Path) -> None:
    """Put a sound ring of the same make in a ring's place."""
    path.rename(path.with_suffix(".old"))
    create_ring(path, RINGS[path.stem], CAPACITY, RUN_ID)


def overwrite(word: int) -> Callable[[Path], None]:
    """Return what changes a constant of the header."""

    def change(path: Path) -> None:
        header = np.memmap(path, np.int64, "r+")
        header[word] ^= 1
        header.flush()

    return change


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut to nothing": (cut_to(0), "cut"),
    "cut behind its header": (cut_to(4096), "cut"),
    "made longer": (cut_to(1 << 20), "cut or made longer"),
    "removed": (Path.unlink, "removed"),
    "replaced": (replace, "replaced"),
    "magic": (overwrite(ring_header.MAGIC_WORD), "header"),
    "capacity": (overwrite(ring_header.CAPACITY_WORD), "header"),
    "run": (overwrite(ring_header.RUN_ID_WORD), "header"),
    "memory": (overwrite(ring_header.MEMORY_WORD), "header"),
}


@pytest.mark.parametrize("name", RINGS)
@pytest.mark.parametrize("kind", DAMAGE)
def test_what_became_of_a_ring_is_told(tmp_path: Path, name: str, kind: str):
    """Cut, longer, gone, another file, or another header: one line, with the ring's file in it."""
    for ring, discipline in RINGS.items():
        create_ring(tmp_path / f"{ring}.ring", discipline, CAPACITY, RUN_ID)
    guard = RingGuard(sorted(tmp_path.glob("*.ring")))
    assert guard.look() == ()
    damage, what = DAMAGE[kind]
    damage(tmp_path / f"{name}.ring")
    (line,) = guard.look()
    assert what in line
    assert f"ring={tmp_path / name}.ring" in line
    guard.close()
    guard.close()


def test_what_a_run_writes_is_no_damage(tmp_path: Path):
    """Heads, pids and records change all the time; only what never changes is looked at."""
    path = tmp_path / "orders.ring"
    create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
    guard = RingGuard([path])
    words = np.memmap(path, np.int64, "r+")
    words[ring_header.CONSTANT_BYTES // 8 :] = -1
    words.flush()
    assert guard.look() == ()
    guard.close()
