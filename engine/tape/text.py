"""A record as plain values, for people and for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.tape.reader import kind_name
from engine.wire.codes import Flag, Kind, Reason, Source
from engine.wire.records import BODIES, RECORD

_REASONS = {int(reason): reason.name for reason in Reason}
_SOURCES = {int(source): source.name for source in Source}


def describe(row: np.ndarray, sequence: int) -> dict[str, Any]:
    """Return the fields of one record, int64[16], by name; bytes as hex, codes by name."""
    kind = int(row[0] & 0xFFFF)
    dtype = BODIES[Kind(kind)] if kind in BODIES else RECORD
    record = np.ascontiguousarray(row).view(dtype)[0]
    told: dict[str, Any] = {"sequence": sequence}
    for name in dtype.names or ():
        if not name.startswith("_"):
            told[name] = _plain(name, record[name])
    told["kind"] = kind_name(kind)
    told["source"] = _SOURCES.get(told["source"], told["source"])
    told["flags"] = [flag.name for flag in Flag if told["flags"] & flag]
    if "reason" in told:
        told["reason"] = _REASONS.get(told["reason"], told["reason"])
    return told


def _plain(name: str, value: Any) -> Any:
    if name == "levels":
        used = value[value["price"] > 0]
        return [
            {"side": int(level["side"]), "price": int(level["price"]), "size": int(level["size"])}
            for level in used
        ]
    if isinstance(value, np.void):
        return "0x" + value.tobytes().hex()
    return value.item()
