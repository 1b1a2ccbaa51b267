"""Whether every ring is still the file that was made: whole, in its place, with its own header.

A process that touches a ring that was cut dies of it; but a cut may leave the part a process looks
at, and then nothing happens: a core goes on with the books it has, for no feed can publish another.
The guard touches no mapping and looks at the files themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from engine.bus.ring_header import CONSTANT_BYTES


class RingGuard:
    """The rings of a run as they were made. It holds a descriptor of each until `close`."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """paths: of rings that have just been made. Errors: `OSError` when one cannot be opened."""
        self._rings: list[tuple[Path, int, int, bytes]] = []
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            whole = os.fstat(descriptor).st_size
            header = os.pread(descriptor, CONSTANT_BYTES, 0)
            self._rings.append((path, descriptor, whole, header))

    def look(self) -> tuple[str, ...]:
        """Return what became of each ring that is not as it was made: file and values."""
        return tuple(filter(None, (_damage(*ring) for ring in self._rings)))

    def close(self) -> None:
        """Let go of the files; a second call does nothing."""
        for _, descriptor, _, _ in self._rings:
            os.close(descriptor)
        self._rings.clear()


def _damage(path: Path, descriptor: int, whole: int, header: bytes) -> str:
    """Return what is wrong with a ring, empty if nothing is."""
    found = os.fstat(descriptor)
    if found.st_size != whole:
        return f"ring was cut or made longer: ring={path}, bytes={found.st_size}, wanted={whole}"
    try:
        is_in_place = os.path.samestat(found, os.lstat(path))
    except OSError as error:
        return f"ring was removed: ring={path}, {error.strerror}"
    if not is_in_place:
        return f"ring was replaced by another file: ring={path}"
    if os.pread(descriptor, CONSTANT_BYTES, 0) != header:
        return f"header of the ring was overwritten: ring={path}"
    return ""
