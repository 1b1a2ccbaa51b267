"""One step's records in one array, as they stand on the tape: what is polled stays where it came.

```
 row 0              TIMER|BATCH      how many inputs, and when they were polled
 rows 1 … n         inputs
 rows n+1 … n+m     outputs
 row n+m+1          TIMER|PUBLISHED  how many outputs, and when the commands had left
```
So a batch is published with one call, and a replay finds its parts by its first and last record.
"""

from __future__ import annotations

import struct

import numpy as np

from engine.core import outbox
from engine.wire.codes import Flag, Kind, Source
from engine.wire.records import BODY_WORD, RECORD_BYTES, RECORD_WORDS, pack_word0

# word 0, trace, venue_ns, local_ns, records, commands; the rest is zeros
_TIMER = struct.Struct(f"<6q{RECORD_BYTES - 6 * 8}x")
_OPENING = pack_word0(Kind.TIMER, Source.CORE, Flag.BATCH, 0)
_CLOSING = pack_word0(Kind.TIMER, Source.CORE, Flag.PUBLISHED, 0)
assert BODY_WORD == 4, "a TIMER's body begins after four header words"


class Batch:
    """The room for one batch. `inputs`, int64[inputs_max, 16], is for the caller to fill."""

    __slots__ = ("_bytes", "_rows", "inputs")

    def __init__(self, inputs_max: int) -> None:
        self._rows = np.zeros((inputs_max + outbox.CAPACITY + 2, RECORD_WORDS), np.int64)
        self._bytes = self._rows.data.cast("B")
        self.inputs = self._rows[1 : 1 + inputs_max]

    def framed(
        self, count: int, out: np.ndarray, sequence: int, polled_ns: int, published_ns: int
    ) -> np.ndarray:
        """Return the whole batch, int64[n + m + 2, 16], valid until the next one is begun.

        count: inputs filled.  out: int64[m, 16], what the step returned.  sequence: of the opening
        record on the tape, which the closing one is traced to.
        """
        rows, end = self._rows, 1 + count + len(out)
        _TIMER.pack_into(self._bytes, 0, _OPENING, 0, 0, polled_ns, count, 0)
        if len(out):
            rows[1 + count : end] = out
        closing = end * RECORD_BYTES
        _TIMER.pack_into(self._bytes, closing, _CLOSING, sequence, 0, published_ns, 0, len(out))
        return rows[: end + 1]
