"""Sleeping until a ring has something: a futex on the ring's own `head`.

A reader that has run out of patience says so in the `waiting` word of each of its rings and asks
the kernel to sleep for as long as every `head` is where the reader stands. Whoever publishes next
takes the word back, moves `head` and wakes. As long as nobody sleeps a writer pays one fence and
two looks; `publish` and `offer` make no system call.

    writer   waiting? -> waiting := 0;   head := n;   full fence;   it was or is waiting -> wake
    reader   waiting := 1;   full fence (in the kernel);   head = position?  -> sleep

One of the two always sees the other: both looks cannot come before both stores. And the word is
taken back before `head` moves: a reader can say it again only after it has seen the new `head`, so
what a writer takes back is never the word of somebody it does not wake. A writer that died between
the two left its reader asleep; whoever attaches after it wakes once.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.bus import shm
from engine.bus.ring_header import HEAD_WORD, WAITING_WORD
from engine.bus.shm import WORD_BYTES

_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), -1)
_FUTEX_WAITV = 449  # the same on every machine, Linux 5.16 and later
_FUTEX_WAKE = 1
_FUTEX2_SIZE_U32 = 2
_EVERYBODY = 2**31 - 1
_RINGS_MAX = 128  # FUTEX_WAITV_MAX
_NS = 1_000_000_000

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def wake(ring: np.ndarray) -> None:
    """Wake who sleeps on a ring (its file as int64 words); for a writer told that somebody may."""
    head = ring.ctypes.data + HEAD_WORD * WORD_BYTES
    _syscall(_FUTEX, ctypes.c_void_p(head), _FUTEX_WAKE, _EVERYBODY, None, None, 0)


class RingReader(Protocol):
    """What a sleeper has to know of a reader."""

    @property
    def path(self) -> Path:
        """The ring's file."""
        ...

    @property
    def position(self) -> int:
        """The number of the record it reads next."""
        ...


class Sleeper:
    """Sleeps on behalf of one thread until one of its rings has something, or time is over.

    Where the kernel cannot wait for several rings at once (before Linux 5.16, or another system) it
    merely sleeps.
    """

    __slots__ = ("_deadline", "_headers", "_readers", "_waits")

    def __init__(self, readers: Sequence[RingReader]) -> None:
        """readers: attached ones, 1 to 128. Errors: `BusError` when a ring cannot be written."""
        assert 1 <= len(readers) <= _RINGS_MAX, f"rings to wait for: {len(readers)}"
        self._readers = tuple(readers)
        # A broadcast reader maps its ring read-only; the one word it writes here is in a header.
        self._headers = [shm.attach(reader.path, writable=True) for reader in readers]
        self._waits = np.zeros((len(readers), 3), np.uint64)  # struct futex_waitv
        for row, header in zip(self._waits, self._headers, strict=True):
            row[1] = header.words.ctypes.data + HEAD_WORD * WORD_BYTES  # its low half
            row[2] = _FUTEX2_SIZE_U32
        self._deadline = np.zeros(2, np.int64)  # struct timespec

    def sleep(self, duration_us: int) -> None:
        """Return when a ring has more than its reader has read, or after `duration_us`."""
        for row, header, reader in zip(self._waits, self._headers, self._readers, strict=True):
            header.words[WAITING_WORD] = 1
            row[0] = reader.position & 0xFFFF_FFFF
        self._deadline[:] = divmod(time.monotonic_ns() + duration_us * 1_000, _NS)
        result = _syscall(
            _FUTEX_WAITV,
            ctypes.c_void_p(self._waits.ctypes.data),
            len(self._waits),
            0,
            ctypes.c_void_p(self._deadline.ctypes.data),
            time.CLOCK_MONOTONIC,
        )
        if result < 0 and ctypes.get_errno() == errno.ENOSYS:
            time.sleep(duration_us * 1e-6)

    def close(self) -> None:
        """Let go of the rings; a second call does nothing."""
        for header in self._headers:
            header.close()
