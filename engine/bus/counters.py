"""Named counters in shared memory: a process counts, anyone looks, nobody has to be asked.

One file a process, made by the process itself and written by it alone. int64 words, little-endian:

```
 byte          word
 0             0     magic    "HTCOUNT1"
 8             1     count    of counters, n
 16            2     values   n words
 16 + 8 n      ...   names    n x 64 bytes, UTF-8, padded with zeros
```
The process itself writes through a mapping. Everyone else has the kernel copy the file (`pread`):
who touches a mapped page that somebody cut off dies of SIGBUS, and no check before it can exclude
that; a copy is merely too short, and that is an error with a name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from engine.bus import shm
from engine.bus.shm import WORD_BYTES, BusError, Mapping

MAGIC = int.from_bytes(b"HTCOUNT1", "little")
VALUES_WORD = 2
NAME_BYTES = 64


class CounterFile:
    """The counters of one process. Made by `create`; seen from outside by `attach`, read only."""

    __slots__ = ("_copy", "_indices", "_source", "_values", "names")

    def __init__(self, source: Mapping | _Copy, whole: memoryview, names: Sequence[str]) -> None:
        """whole: the file's bytes, as `source` maps or copies them."""
        self.names = tuple(names)
        self._indices = {name: index for index, name in enumerate(self.names)}
        self._source = source
        self._copy = source if isinstance(source, _Copy) else None
        # From Python a memoryview item is the cheapest word to reach: a third of numpy's price.
        self._values = whole.cast("q")[VALUES_WORD : VALUES_WORD + len(self.names)]

    @classmethod
    def create(cls, path: Path, names: Sequence[str]) -> CounterFile:
        """Return fresh counters, all 0; a file of the same name, from a former life, is replaced.

        Errors: `BusError` for a name that is empty, repeated or longer than 64 bytes of UTF-8.
        """
        for name in names:
            if not 1 <= len(name.encode()) <= NAME_BYTES or names.count(name) > 1:
                raise BusError(
                    f"counter names must be unique and of 1 to {NAME_BYTES} bytes: name={name!r}"
                )
        # Whoever looks finds the whole file or the old one: it gets its name when it is ready.
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        mapping = shm.create(draft, _file_bytes(len(names)) // WORD_BYTES)
        mapping.words[0] = MAGIC
        mapping.words[1] = len(names)
        text = b"".join(name.encode().ljust(NAME_BYTES, b"\0") for name in names)
        mapping.buffer[_names_byte(len(names)) :] = text
        os.replace(draft, path)
        return cls(mapping, memoryview(mapping.buffer), names)

    @classmethod
    def attach(cls, path: Path) -> CounterFile:
        """Return another process's counters, read only.

        Errors: `BusError` when the file is absent, truncated or no counter file; later, out of
        `get` and `snapshot`, when it was cut or overwritten while we watched.
        """
        copy = _Copy(path)
        try:
            return cls(copy, copy.whole, copy.names())
        except BaseException:
            copy.close()
            raise

    def add(self, index: int, n: int = 1) -> None:
        """Hot path. Add `n` to a counter; only the process that made the file may."""
        self._values[index] += n

    def set(self, index: int, value: int) -> None:
        """Hot path. Set a counter (a gauge); only the process that made the file may."""
        self._values[index] = value

    def get(self, index: int) -> int:
        """Return a counter's value. Errors: `BusError` for a file that was cut meanwhile."""
        if self._copy is not None:
            self._copy.refresh()
        return self._values[index]

    def index(self, name: str) -> int:
        """Return where a counter is. Errors: `BusError` for a name this file does not have."""
        if name not in self._indices:
            raise BusError(f"no such counter: file={self._source.path}, name={name}")
        return self._indices[name]

    def snapshot(self) -> dict[str, int]:
        """Return all values by name; each is exact, together they are of nearly one moment.

        Errors: `BusError` for a file that was cut meanwhile.
        """
        if self._copy is not None:
            self._copy.refresh()
        return dict(zip(self.names, self._values, strict=True))

    def close(self) -> None:
        """Let go of it; the file stays. A second call does nothing."""
        self._values.release()
        self._source.close()


def read_counters(path: Path) -> dict[str, int]:
    """Return the counters of one process by name, in one look.

    Errors: `BusError` as of `CounterFile.attach`.
    """
    counters = CounterFile.attach(path)
    try:
        return counters.snapshot()
    finally:
        counters.close()


class _Copy:
    """What an outsider has of a counter file. `whole`: all its bytes as of the last `refresh`."""

    __slots__ = ("_buffer", "_descriptor", "_header", "path", "whole")

    def __init__(self, path: Path) -> None:
        """Errors: `BusError` when the file is absent, another's, truncated or no counter file."""
        self.path = path
        # A pipe laid there must not keep us waiting for its writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._descriptor = os.open(path, flags)
        except OSError as error:
            raise BusError(f"cannot open counters: file={path}, error={error.strerror}") from None
        try:
            status = os.fstat(self._descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise BusError(
                    f"counters must be a plain file of ours: file={path}, uid={status.st_uid}"
                )
            self._header = os.pread(self._descriptor, VALUES_WORD * WORD_BYTES, 0)
            magic, count = self._header[:WORD_BYTES], self._header[WORD_BYTES:]
            size = _file_bytes(int.from_bytes(count, "little"))
            if magic != MAGIC.to_bytes(WORD_BYTES, "little") or size != status.st_size:
                raise BusError(
                    f"not a counter file, or truncated: file={path}, bytes={status.st_size}"
                )
            self._buffer = bytearray(size)
            self.whole = memoryview(self._buffer).toreadonly()
            self.refresh()
        except BaseException:
            self.close()
            raise

    def refresh(self) -> None:
        """Copy the file anew: one system call. Errors: `BusError` when it is no longer whole."""
        read = os.preadv(self._descriptor, [self._buffer], 0)
        # Cut and made as long again, it is full of zeros.
        if read != len(self._buffer) or not self._buffer.startswith(self._header):
            raise BusError(
                f"counters were cut or overwritten: file={self.path}, "
                f"bytes={read}, expected={len(self._buffer)}"
            )

    def names(self) -> list[str]:
        """Return the counters' names. Errors: `BusError` for one that is not UTF-8."""
        count = int.from_bytes(self._header[WORD_BYTES:], "little")
        text = self._buffer[_names_byte(count) :]
        try:
            return [
                text[at : at + NAME_BYTES].rstrip(b"\0").decode()
                for at in range(0, len(text), NAME_BYTES)
            ]
        except UnicodeDecodeError:
            raise BusError(f"counter names are not UTF-8: file={self.path}") from None

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _names_byte(count: int) -> int:
    return (VALUES_WORD + count) * WORD_BYTES


def _file_bytes(count: int) -> int:
    return _names_byte(count) + count * NAME_BYTES
