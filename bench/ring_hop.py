"""One record from core to core: the kernels of `engine.bus` in a loop, beside the same in C.

Both sides of both spin on a core of their own and stamp with the cycle counter, so that a hop
holds the ring and nothing else; x86 only.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.bus.atomics import pause
from engine.bus.ring import Discipline
from engine.bus.ring_header import CAPACITY_WORD, HEAD_WORD, TAIL_WORD, attach_ring
from engine.bus.ring_kernels import (
    CAPACITY,
    LOCAL_WORDS,
    POSITION,
    SEEN,
    offer_queue,
    poll_queue,
)
from engine.wire.layout import to_c_header
from engine.wire.records import RECORD_WORDS

ROOT = Path(__file__).resolve().parents[1]
RUN_ID = 1
GIVE_UP_CYCLES = 1 << 36
CALIBRATION_S = 0.05


@intrinsic
def cycles(typing_context: Any) -> Any:
    """Return the cycle counter."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [])
        counter = cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter")
        return builder.call(counter, [])

    return types.int64(), codegen


@njit
def send_paced(
    ring: np.ndarray, local: np.ndarray, row: np.ndarray, count: int, gap_cycles: int
) -> int:
    """Offer `count` stamped records, spinning between them; return how many went in."""
    for sent in range(count):
        due = cycles() + gap_cycles
        while cycles() < due:
            pause()
        row[0, 0] = cycles()
        if offer_queue(ring, row, local) <= 0:
            return sent
    return count


@njit
def receive(ring: np.ndarray, local: np.ndarray, row: np.ndarray, taken: np.ndarray) -> int:
    """Fill `taken` with the cycles each record took; return how many came before it gave up."""
    give_up = cycles() + GIVE_UP_CYCLES
    for i in range(taken.size):
        while poll_queue(ring, row, local) == 0:
            if cycles() > give_up:
                return i
            pause()
        taken[i] = cycles() - row[0, 0]
    return taken.size


@njit
def read_cycles() -> int:
    """Return the cycle counter to Python."""
    return cycles()


def cycles_per_ns() -> float:
    """Return how fast the counter counts."""
    began, began_ns = read_cycles(), time.perf_counter_ns()
    time.sleep(CALIBRATION_S)
    return float((read_cycles() - began) / (time.perf_counter_ns() - began_ns))


def warm_up() -> None:
    """Compile what is timed: a ring of nothing, sent and received."""
    ring, local = np.zeros(1 << 10, np.int64), np.zeros(LOCAL_WORDS, np.int64)
    row = np.zeros((1, RECORD_WORDS), np.int64)
    local[CAPACITY] = 2
    send_paced(ring, local, row, 0, 0)
    receive(ring, local, row, np.zeros(0, np.int64))
    read_cycles()


def run_sender(path: Path, count: int, gap_cycles: int) -> None:
    """Be the sending process."""
    mapping = attach_ring(path, Discipline.QUEUE, RUN_ID, writable=True)
    local = _local(mapping.words, int(mapping.words[HEAD_WORD]))
    row = np.zeros((1, RECORD_WORDS), np.int64)
    warm_up()
    print("ready", flush=True)
    sys.stdin.readline()
    assert send_paced(mapping.words, local, row, count, gap_cycles) == count


def jitted_hops(path: Path, count: int, gap_cycles: int, cores: tuple[int, int]) -> np.ndarray:
    """Return the cycles of `count` hops through the kernels, int64[count]."""
    mapping = attach_ring(path, Discipline.QUEUE, RUN_ID, writable=True)
    local = _local(mapping.words, int(mapping.words[TAIL_WORD]))
    taken = np.zeros(count, np.int64)
    command = [sys.executable, __file__, str(path), str(count), str(gap_cycles)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        os.sched_setaffinity(sender.pid, {cores[0]})
        assert sender.stdout.readline() == "ready\n"
        sender.stdin.write("\n")
        sender.stdin.flush()
        with on_core(cores[1]):
            row = np.zeros((1, RECORD_WORDS), np.int64)
            assert receive(mapping.words, local, row, taken) == count
    mapping.close()
    return taken


def c_hops(
    program: Path, path: Path, count: int, gap_cycles: int, cores: tuple[int, int]
) -> np.ndarray:
    """Return the cycles of `count` hops through the C ring, int64[count]."""
    arguments = [str(path), str(RUN_ID), str(count), str(gap_cycles)]
    with subprocess.Popen([str(program), "receive", *arguments], stdout=subprocess.PIPE) as taker:
        os.sched_setaffinity(taker.pid, {cores[1]})
        with subprocess.Popen([str(program), "send", *arguments]) as sender:
            os.sched_setaffinity(sender.pid, {cores[0]})
            output, _ = taker.communicate(timeout=60)
        assert (taker.returncode, sender.returncode) == (0, 0)
    return np.array(output.split(), np.int64)


def build_c(folder: Path) -> Path | None:
    """Return the C program compiled in `folder`, None where that cannot be."""
    if shutil.which("gcc") is None or platform.machine() not in ("x86_64", "AMD64"):
        return None
    (folder / "wire.h").write_text(to_c_header())
    source = Path(__file__).with_name("c_ring") / "hop.c"
    include = [f"-I{folder}", f"-I{ROOT / 'tests' / 'ipc' / 'c'}"]
    command = ["gcc", "-std=gnu11", "-O2", "-march=native", *include, str(source)]
    subprocess.run([*command, "-o", str(folder / "hop")], check=True)
    return folder / "hop"


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Stay on one core for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _local(ring: np.ndarray, position: int) -> np.ndarray:
    local = np.zeros(LOCAL_WORDS, np.int64)
    local[POSITION], local[SEEN] = position, ring[TAIL_WORD]
    local[CAPACITY] = ring[CAPACITY_WORD]
    return local


if __name__ == "__main__":
    run_sender(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
