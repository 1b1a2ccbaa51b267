"""Every fact and every command is one 128-byte record: two cache lines, little-endian.

```
 0        2         3        4            8         16          24         32           128
 +--------+---------+--------+------------+---------+-----------+----------+-------------+
 | kind   | source  | flags  | instrument | trace   | venue_ns  | local_ns | body        |
 | u2     | u1      | u1     | u4         | u8      | i8        | i8       | 96 bytes    |
 +--------+---------+--------+------------+---------+-----------+----------+-------------+
```
`instrument` indexes the instrument table (0 = none). `trace` is the tape sequence of the record
that caused this one. `venue_ns` is the venue's stamp (epoch), 0 where it gives none. `local_ns` is
ours, from `engine.host.clock`: epoch-like and monotonic.

Jitted code sees a record as 16 int64 words (`words`): word 0 packs kind, source, flags and
instrument; words 4..15 are the body. Cold code uses the dtype of the kind (`BODIES`), a view on the
same bytes. Money, prices and sizes are int64 micros unless the picture says u4 micros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.wire.codes import Kind

RECORD_BYTES = 128
RECORD_WORDS = 16
BODY_WORD = 4  # index of the first body word

HEADER: list[tuple[str, str]] = [
    ("kind", "<u2"),
    ("source", "u1"),
    ("flags", "u1"),
    ("instrument", "<u4"),
    ("trace", "<u8"),
    ("venue_ns", "<i8"),
    ("local_ns", "<i8"),
]

# One change of a book: the new absolute size at a price, 0 removes the level.
LEVEL = np.dtype([("price", "<u4"), ("side", "u1"), ("_pad", "V3"), ("size", "<i8")])
LEVELS_PER_RECORD = 5

_BODIES: dict[Kind, list[tuple[Any, ...]]] = {
    # token_id and condition_id are big-endian uint256. complement: the other token of the market.
    # fee_rate_ppm: 70_000 = 0.07. min_size_cents: hundredths of a share. Windows in epoch seconds.
    Kind.INSTRUMENT: [
        ("token_id", "V32"),
        ("condition_id", "V32"),
        ("complement", "<u4"),
        ("generation", "u1"),
        ("neg_risk", "u1"),
        ("outcome", "u1"),
        ("fee_curve", "u1"),
        ("fee_rate_ppm", "<u4"),
        ("fee_exponent", "<u4"),
        ("tick", "<u4"),
        ("min_size_cents", "<u4"),
        ("open_s", "<u4"),
        ("close_s", "<u4"),
    ],
    # payout: micros a share once RESOLVED, else -1. tick: micros, 0 = unchanged.
    Kind.STATUS: [("status", "u1"), ("_pad", "V7"), ("tick", "<i8"), ("payout", "<i8")],
    # Unused levels have price 0. best_bid / best_ask: the venue's claim after the frame, u4 micros;
    # an empty side is 0 / 1_000_000. hash_prefix: first 8 bytes of the venue's book hash.
    Kind.LEVELS: [
        ("levels", LEVEL, (LEVELS_PER_RECORD,)),
        ("best_bid", "<u4"),
        ("best_ask", "<u4"),
        ("hash_prefix", "<u8"),
    ],
    Kind.BBO: [("bid", "<i8"), ("ask", "<i8")],
    Kind.TRADE: [("price", "<i8"), ("size", "<i8"), ("side", "u1"), ("_pad", "V7")],
    # read_back_ns, of CLOB_USER alone: when the last read-back began that told everything there was
    # to tell, balances included (local clock); 0 = none has. The private feed repeats its status
    # at least once a second: it is the feed's sign of life.
    Kind.FEED_STATUS: [
        ("feed", "u1"),
        ("connection", "u1"),
        ("_pad", "V6"),
        ("connects", "<i8"),
        ("errors", "<i8"),
        ("read_back_ns", "<i8"),
    ],
    Kind.ORDER_STATE: [
        ("order_hash", "V32"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("matched", "<i8"),
        ("status", "u1"),
        ("side", "u1"),
        ("_pad", "V6"),
    ],
    # fee: micros, -1 = the venue did not say (the core computes it). leg: how many parts of the
    # same order in that trade come before this one.
    Kind.FILL: [
        ("order_hash", "V32"),
        ("trade_id", "V16"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("fee", "<i8"),
        ("side", "u1"),
        ("liquidity", "u1"),
        ("settlement", "u1"),
        ("leg", "u1"),
        ("_pad", "V4"),
    ],
    # instrument 0 = pUSD, else shares of that instrument.
    Kind.BALANCE: [("balance", "<i8"), ("allowance", "<i8")],
    # timestamp_ms and salt are signed: with them the order hash is a pure function of the record.
    # budget: pUSD to spend for FOK/FAK buys (market arithmetic), else 0. expires_s: 0 = none.
    # tick: micros, the grid the price is on. decided_ns: local_ns of the batch it was decided in.
    Kind.NEW_ORDER: [
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("budget", "<i8"),
        ("salt", "<u8"),
        ("timestamp_ms", "<i8"),
        ("expires_s", "<i8"),
        ("trigger_ns", "<i8"),
        ("decided_ns", "<i8"),
        ("tick", "<u4"),
        ("side", "u1"),
        ("tif", "u1"),
        ("post_only", "u1"),
        ("strategy", "u1"),
        ("leg", "u1"),
        ("attempt", "u1"),
        ("_pad", "V6"),
    ],
    Kind.CANCEL: [("order_id", "<u8"), ("reason", "<u2"), ("strategy", "u1"), ("_pad", "V5")],
    Kind.CANCEL_ALL: [("reason", "<u2"), ("_pad", "V6")],
    # Engaged: an order of `strategy` that may be asked for at any moment; whoever signs may do so
    # ahead. One an instrument and strategy; the next replaces it. Not engaged: it will not come any
    # more, for this reason. NEW_ORDER asks for it. The fields before `reason` are NEW_ORDER's.
    Kind.ARM: [
        ("price", "<i8"),
        ("size", "<i8"),
        ("budget", "<i8"),
        ("tick", "<u4"),
        ("side", "u1"),
        ("tif", "u1"),
        ("strategy", "u1"),
        ("engaged", "u1"),
        ("reason", "<u2"),
        ("_pad", "V6"),
    ],
    # Written, and in the order log, before the first byte of the order leaves.
    Kind.SIGNED: [
        ("order_id", "<u8"),
        ("order_hash", "V32"),
        ("maker_amount", "<i8"),
        ("taker_amount", "<i8"),
        ("polled_ns", "<i8"),
        ("signed_ns", "<i8"),
        ("logged_ns", "<i8"),
        ("attempt", "u1"),
        ("_pad", "V7"),
    ],
    # The *_ns of ACK, REJECT and UNKNOWN are the signer's stages; 0 = did not get there.
    # making / taking: what the venue reports as matched at once.
    Kind.ACK: [
        ("order_id", "<u8"),
        ("making", "<i8"),
        ("taking", "<i8"),
        ("polled_ns", "<i8"),
        ("signed_ns", "<i8"),
        ("logged_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("answered_ns", "<i8"),
        ("status", "u1"),
        ("_pad", "V7"),
    ],
    Kind.REJECT: [
        ("order_id", "<u8"),
        ("reason", "<u2"),
        ("http_status", "<u2"),
        ("_pad", "V4"),
        ("_pad2", "V8"),
        ("polled_ns", "<i8"),
        ("signed_ns", "<i8"),
        ("logged_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("answered_ns", "<i8"),
    ],
    # matched: shares filled in all when the order ended, -1 = not said.
    Kind.DONE: [("order_id", "<u8"), ("matched", "<i8"), ("reason", "<u2"), ("_pad", "V6")],
    Kind.RAIL_STATUS: [
        ("connection", "u1"),
        ("_pad", "V7"),
        ("connects", "<i8"),
        ("errors", "<i8"),
    ],
    # An order of an earlier life of the signer, out of its order log, before anything else is sent.
    # strategy: its number in this run's configuration, 0 = none has its name now. is_open: it has
    # no end in the log, so it may be live. last: the list is complete; that record has order_id 0
    # and names no order. The instrument is 0: indices are of one run, its fills name it.
    Kind.RECOVERED: [
        ("order_id", "<u8"),
        ("order_hash", "V32"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("strategy", "u1"),
        ("side", "u1"),
        ("tif", "u1"),
        ("is_open", "u1"),
        ("last", "u1"),
        ("_pad", "V3"),
    ],
    # BATCH: opens a batch of `records` inputs polled at local_ns. PUBLISHED: its `commands` left.
    Kind.TIMER: [("records", "<i8"), ("commands", "<i8")],
    # The core's parameters in force, as a digest; the text is in the tape's header.
    Kind.CONFIG: [("digest", "V32")],
    # What a strategy wanted and what became of it: price, size and side of the intent; bid and ask
    # are the book it was decided on, its certificate.
    Kind.DECISION: [
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("edge", "<i8"),
        ("bid", "<u4"),
        ("ask", "<u4"),
        ("book_age_ns", "<i8"),
        ("reason", "<u2"),
        ("strategy", "u1"),
        ("side", "u1"),
        ("leg", "u1"),
        ("_pad", "V3"),
    ],
    Kind.HALT: [("reason", "<u2"), ("engaged", "u1"), ("_pad", "V5")],
    # lost records of the ring numbered `ring` (its index in the reader's poll order).
    Kind.GAP: [("ring", "<i8"), ("lost", "<i8")],
}
_BODIES[Kind.UNKNOWN] = _BODIES[Kind.REJECT]


def _record_dtype(body: list[tuple[Any, ...]]) -> np.dtype[np.void]:
    dtype = np.dtype(HEADER + body)
    room = RECORD_BYTES - dtype.itemsize
    assert room >= 0, f"record body too long: bytes={dtype.itemsize - 32}"
    return np.dtype(HEADER + body + ([("_rest", f"V{room}")] if room else []))


RECORD: np.dtype[np.void] = _record_dtype([("body", "V96")])
BODIES: dict[Kind, np.dtype[np.void]] = {kind: _record_dtype(b) for kind, b in _BODIES.items()}
assert all(d.itemsize == RECORD_BYTES for d in BODIES.values())


def new(kind: Kind, count: int = 1) -> np.ndarray:
    """Return `count` zeroed records of `kind`, shape (count,), with the kind already set."""
    out = np.zeros(count, BODIES[kind])
    out["kind"] = kind
    return out


def words(records: np.ndarray) -> np.ndarray:
    """Return the records as int64 words, shape (n, 16): a view, nothing is copied."""
    return records.view(np.int64).reshape(-1, RECORD_WORDS)


def typed(rows: np.ndarray, kind: Kind) -> np.ndarray:
    """Return int64 rows of shape (n, 16) as records of `kind`, shape (n,): a view."""
    return rows.reshape(-1).view(BODIES[kind])


def pack_word0(kind: int, source: int, flags: int, instrument: int) -> int:
    """Return word 0 of a header as a Python int that fits int64."""
    return kind | source << 16 | flags << 24 | instrument << 32
