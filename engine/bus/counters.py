"""Named counters in shared memory: a process counts, anyone looks, nobody has to be asked.

One file a process, made by the process itself and written by it alone. int64 words, little-endian:

```
 byte          word
 0             0     magic    "HTCOUNT1"
 8             1     count    of counters, n
 16            2     values   n words
 16 + 8 n      ...   names    n x 64 bytes, UTF-8, padded with zeros
```
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine.bus import shm
from engine.bus.shm import WORD_BYTES, BusError, Mapping

MAGIC = int.from_bytes(b"HTCOUNT1", "little")
VALUES_WORD = 2
NAME_BYTES = 64


class CounterFile:
    """The counters of one process. Made by `create`; seen from outside by `attach`, read only."""

    __slots__ = ("_indices", "_mapping", "_values", "names")

    def __init__(self, mapping: Mapping, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._indices = {name: index for index, name in enumerate(self.names)}
        self._mapping = mapping
        # From Python a memoryview item is the cheapest word to reach: a third of numpy's price.
        first = VALUES_WORD
        self._values = memoryview(mapping.buffer).cast("q")[first : first + len(self.names)]

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
        mapping = shm.create(draft, VALUES_WORD + len(names) * (1 + NAME_BYTES // WORD_BYTES))
        mapping.words[0] = MAGIC
        mapping.words[1] = len(names)
        text = b"".join(name.encode().ljust(NAME_BYTES, b"\0") for name in names)
        mapping.buffer[_names_byte(len(names)) :] = text
        os.replace(draft, path)
        return cls(mapping, names)

    @classmethod
    def attach(cls, path: Path) -> CounterFile:
        """Return another process's counters, read only.

        Errors: `BusError` when the file is absent, truncated or no counter file.
        """
        mapping = shm.attach(path, writable=False)
        try:
            words = mapping.words
            count = int(words[1]) if words.size >= VALUES_WORD and words[0] == MAGIC else -1
            if count < 0 or words.size != VALUES_WORD + count * (1 + NAME_BYTES // WORD_BYTES):
                raise BusError(f"not a counter file, or truncated: file={path}")
            text = mapping.buffer[_names_byte(count) :]
            names = [
                text[at : at + NAME_BYTES].rstrip(b"\0").decode()
                for at in range(0, len(text), NAME_BYTES)
            ]
            return cls(mapping, names)
        except BaseException:
            mapping.close()
            raise

    def add(self, index: int, n: int = 1) -> None:
        """Hot path. Add `n` to a counter; only the process that made the file may."""
        self._values[index] += n

    def set(self, index: int, value: int) -> None:
        """Hot path. Set a counter (a gauge); only the process that made the file may."""
        self._values[index] = value

    def get(self, index: int) -> int:
        """Return a counter's value."""
        return self._values[index]

    def index(self, name: str) -> int:
        """Return where a counter is. Errors: `BusError` for a name this file does not have."""
        if name not in self._indices:
            raise BusError(f"no such counter: file={self._mapping.path}, name={name}")
        return self._indices[name]

    def snapshot(self) -> dict[str, int]:
        """Return all values by name; each is exact, together they are of nearly one moment."""
        return dict(zip(self.names, self._values, strict=True))

    def close(self) -> None:
        """Unmap; the file stays. A second call does nothing."""
        self._values.release()
        self._mapping.close()


def _names_byte(count: int) -> int:
    return (VALUES_WORD + count) * WORD_BYTES
