"""The market channel's frames to records: the scanner first, patience for whatever it leaves."""

from __future__ import annotations

import numpy as np

from engine.wire.codes import Flag, Kind, MarketStatus
from engine.wire.records import RECORD_WORDS
from feeds.clob_frames import PatientDecoder
from feeds.clob_names import CLAIM_WORD
from feeds.clob_scan import NOT_PLAIN, scan
from feeds.instruments import Instruments
from feeds.port import MalformedFrame
from feeds.token_table import BOOKS, CLAIM, HEARD_NS

# A frame of the largest size allowed cannot hold more: 4 MiB of the shortest levels or books.
ROWS_MAX = 1 << 15
_from_buffer, _BYTE = np.frombuffer, np.dtype(np.uint8)
_LEVELS, _LAST, _TOUCH = int(Kind.LEVELS), Flag.LAST << 24, Flag.TOUCH << 24


class MarketDecoder:
    """Frames to records: the scanner first, the patient decoder for whatever it does not take."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._table = instruments.table
        self._patient = PatientDecoder(instruments)
        self._out = np.zeros((ROWS_MAX, RECORD_WORDS), np.int64)
        self.fallback_decodes = 0
        self.unknown_events = 0
        self.unknown_ids = 0

    def decode(self, payload: bytes | memoryview, local_ns: int) -> np.ndarray:
        """Hot path. Return a frame's records, int64[n, 16], valid until the next call.

        Raises MalformedFrame, and then nothing of the frame was taken.
        """
        table = self._table
        text = _from_buffer(payload, _BYTE)
        count = scan(text, local_ns, table.slots, table.rows, self._out)
        if count != NOT_PLAIN:
            return self._out[:count]
        return self.decode_patiently(bytes(payload), local_ns)

    def decode_patiently(self, frame: bytes, local_ns: int) -> np.ndarray:
        """Return the same without the scanner; ticks and ends of markets are remembered."""
        self.fallback_decodes += 1
        decoded = self._patient.decode(frame, local_ns)
        rows = decoded.records()
        if len(rows) > ROWS_MAX:
            raise MalformedFrame(f"frame too long: records={len(rows)}")
        self.unknown_events += decoded.unknown_events
        self.unknown_ids += decoded.unknown_ids
        table = self._table.rows
        for index in decoded.books:
            table[index, BOOKS] += 1
        for word0, stamp_ns, claim in rows[:, [0, 3, CLAIM_WORD]].tolist():
            table[word0 >> 32, HEARD_NS] = stamp_ns
            if word0 & 0xFFFF == _LEVELS and word0 & _LAST:
                table[word0 >> 32, CLAIM] = claim if word0 & _TOUCH else 0
        for index, tick in decoded.ticks.items():
            self._instruments.set_tick(index, tick)
        for index, payout in decoded.resolved.items():
            self._instruments.set_status(index, MarketStatus.RESOLVED, payout)
        return rows
