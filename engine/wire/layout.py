"""The wire layout as data: one offset table, its hash, and its C, Rust and JSON forms.

The hash stands in every ring's header and in the tape's: whoever was built against another table
is refused before the first record. `tests/contract/wire_layout.json` pins the table.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

import numpy as np

from engine.wire.records import BODIES, LEVEL, RECORD, RECORD_BYTES

_C_TYPES = {"u1": "uint8_t", "u2": "uint16_t", "u4": "uint32_t", "u8": "uint64_t", "i8": "int64_t"}
_RUST_TYPES = {"u1": "u8", "u2": "u16", "u4": "u32", "u8": "u64", "i8": "i64"}


def _fields(dtype: np.dtype[Any]) -> list[dict[str, Any]]:
    """Return name, offset, type and count of every named field; padding is what is left over."""
    fields = []
    assert dtype.fields is not None
    for name, (item, offset, *_) in dtype.fields.items():
        if name.startswith("_"):
            continue
        base, shape = item.subdtype or (item, ())
        count = shape[0] if shape else 1
        if base == LEVEL:
            kind = "level"
        elif base.kind == "V":
            kind, count = "u1", base.itemsize
        else:
            kind = f"{base.kind}{base.itemsize}"
        fields.append({"name": name, "offset": offset, "type": kind, "count": count})
    return fields


def table() -> dict[str, Any]:
    """Return the offset table: the level structure, the common header and the body of each kind."""
    header = _fields(RECORD)[:-1]
    return {
        "record_bytes": RECORD_BYTES,
        "byte_order": "little",
        "header": header,
        "level": {"bytes": LEVEL.itemsize, "fields": _fields(LEVEL)},
        "kinds": [
            {"name": kind.name, "number": int(kind), "fields": _fields(BODIES[kind])[len(header) :]}
            for kind in sorted(BODIES)
        ],
    }


def to_json() -> str:
    """Return the offset table as JSON text, the same bytes for the same layout."""
    return json.dumps(table(), indent=1) + "\n"


@cache
def layout_hash() -> int:
    """Return the first 63 bits of the SHA-256 of `to_json()`, so that it fits a positive int64."""
    digest = hashlib.sha256(to_json().encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
