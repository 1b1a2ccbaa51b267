"""The siege's checker finds each violation once it is planted, and nothing in a round without one.

A synthetic round of one order and one fill goes through the real readers: ledger, order log and
tape are written by their documented layouts, then one thing is changed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from siege import order_log, tape
from siege.checker import RULES, check
from siege.evidence import Evidence, Quiet, Stop
from siege.ledger import Ledger

RUN, ORDER_ID = 0xABC, 7
MAKER = "0xmaker"
HASH, OTHER = "0x" + "11" * 32, "0x" + "22" * 32
TRADE = "00000000-0000-4000-8000-000000000001"
SIZE = 5_000_000
KEY = b"5ec2e7"


def placed(seq: int, order_hash: str, *, price: int = 400_000) -> dict[str, Any]:
    """Return the row of an accepted order of five shares."""
    return {
        "seq": seq, "ts": 1_000 * seq, "type": "order", "order_hash": order_hash, "owner": "0xus",
        "maker": MAKER, "token_id": "1", "side": "BUY", "price": price, "size": SIZE, "budget": 0,
    }  # fmt: skip


def filled(seq: int, order_hash: str, trade_id: str = TRADE) -> dict[str, Any]:
    """Return the row of a whole fill."""
    return {
        "seq": seq, "ts": 1_000 * seq, "type": "fill", "order_hash": order_hash, "maker": MAKER,
        "trade_id": trade_id, "token_id": "1", "condition_id": "0xc", "side": "BUY",
        "price": 400_000, "size": SIZE, "notional": 2_000_000, "fee": 0,
    }  # fmt: skip


def logged(sequence: int, kind: int, order_hash: str) -> bytes:
    """Return one entry of an order log; the body of SIGNED is two bytes."""
    body = b"{}" if kind == order_log.SIGNED else b""
    digest = bytes.fromhex(order_hash[2:])
    facts = order_log.FACTS.pack(kind, 1, 1, RUN, ORDER_ID, 0, digest, 0, 0, -1)
    length = order_log.FRAME.size + len(facts) + len(body)
    return order_log.FRAME.pack(length, 0, sequence) + facts + body


def log_file(path: Path, *entries: tuple[int, str]) -> Path:
    """Write an order log."""
    data = b"".join(logged(n, kind, of) for n, (kind, of) in enumerate(entries, 1))
    path.write_bytes(bytes(order_log.HEADER_BYTES) + data)
    return path


def tape_file(path: Path, *bodies: tuple[int, bytes]) -> Path:
    """Write a tape of records by kind and body."""
    data = tape.HEADER.pack(tape.MAGIC, 1, 128, 0, RUN).ljust(128, b"\0")
    for sequence, (kind, body) in enumerate(bodies):
        record = tape.RECORD.pack(kind, 0, 0, 1, 5, 0, 0) + body.ljust(96, b"\0")
        data += struct.pack("<IIQ", 128, 0, sequence) + record
    path.write_bytes(data)
    return path


def fill_body(trade_id: str = TRADE, settlement: int = 1) -> tuple[int, bytes]:
    """Return a FILL of the order."""
    digest, trade = bytes.fromhex(HASH[2:]), bytes.fromhex(trade_id.replace("-", ""))
    return tape.FILL, tape.FILL_BODY.pack(digest, trade, 400_000, SIZE, 0, 0, 1, settlement, 0)


def order_body(order_id: int = ORDER_ID) -> tuple[int, bytes]:
    """Return the NEW_ORDER of a decision."""
    return tape.NEW_ORDER, tape.ORDER_BODY.pack(
        order_id, 400_000, SIZE, 0, 1, 0, 0, 0, 0, 1_000, 0, 0, 1, 1, 0, 1
    )


def good(folder: Path) -> Evidence:
    """Return what a round without a fault leaves."""
    ledger = folder / "truth.jsonl"
    ledger.write_text("".join(json.dumps(r) + "\n" for r in (placed(1, HASH), filled(2, HASH))))
    kinds = order_log.SIGNED, order_log.ACKED, order_log.DONE
    return Evidence(
        Ledger.read(ledger, MAKER, set()),
        order_log.read_order_log(log_file(folder / "orders.log", *((k, HASH) for k in kinds))),
        [tape.read_tape(tape_file(folder / "tape.ht", order_body(), fill_body()))],
        limit_micros=2_000_000,
        halts_ms=[5_000],
        quiets=[Quiet("end", SIZE, SIZE, 7, 7)],
        stops=[Stop("end", 0, frozenset())],
        outputs={"run-1.out": "stopped"},
        files={"state/core.jsonl": b"{}"},
        secrets={"private key": KEY},
    )


def with_rows(seen: Evidence, *rows: dict[str, Any]) -> None:
    """Add rows to the ledger."""
    seen.ledger.rows.extend(rows)


def plant_duplicate(seen: Evidence, folder: Path) -> None:
    """Sign the same intent again, and have the venue accept that, too."""
    with_rows(seen, placed(3, OTHER, price=0))
    entries = [(k, HASH) for k in (order_log.SIGNED, order_log.ACKED)]
    entries += [(k, OTHER) for k in (order_log.SIGNED, order_log.ACKED)]
    seen.log = order_log.read_order_log(log_file(folder / "orders.log", *entries))


def plant_second_decision(seen: Evidence, folder: Path) -> None:
    """Give one decision a second order of its own."""
    with_rows(seen, placed(3, OTHER, price=0))
    seen.log.append(seen.log[0]._replace(order_id=8, order_hash=OTHER))
    seen.log.append(seen.log[1]._replace(order_id=8, order_hash=OTHER))
    bodies = order_body(), order_body(8), fill_body()
    seen.tapes = [tape.read_tape(tape_file(folder / "tape.ht", *bodies))]


def plant_invented(seen: Evidence, folder: Path) -> None:
    """Tell of a trade that never was."""
    bodies = order_body(), fill_body(), fill_body(TRADE[:-1] + "2")
    seen.tapes = [tape.read_tape(tape_file(folder / "tape.ht", *bodies))]


def plant_endless(seen: Evidence, folder: Path) -> None:
    """Leave the order without any evidence."""
    entries = [(order_log.SIGNED, HASH), (order_log.UNKNOWN, HASH)]
    seen.log = order_log.read_order_log(log_file(folder / "orders.log", *entries))


Plant = Callable[[Evidence, Path], object]
PLANTS: dict[str, tuple[str, Plant]] = {
    "exposure": ("I1 exposure", lambda seen, _: setattr(seen, "limit_micros", 1_999_999)),
    "two hashes": ("I2 duplicate orders", plant_duplicate),
    "two orders": ("I2 duplicate orders", plant_second_decision),
    "unlogged": ("I3 order log", lambda seen, _: with_rows(seen, placed(3, OTHER, price=0))),
    "lost": ("I4 lost fills", lambda seen, _: with_rows(seen, filled(3, HASH, "f" * 32))),
    "invented": ("I5 invented fills", plant_invented),
    "position": ("I6 positions", lambda seen, _: seen.quiets.append(Quiet("x", 0, SIZE, 7, 7))),
    "cash": ("I7 cash", lambda seen, _: seen.quiets.append(Quiet("x", SIZE, SIZE, 6, 7))),
    "late order": ("I9 halt", lambda seen, _: seen.halted_orders_ms.append(51)),
    "order left": (
        "I9 orders left",
        lambda seen, _: seen.stops.append(Stop("x", 0, frozenset({HASH}))),
    ),
    "long unknown": ("I10 unknown", lambda seen, _: setattr(seen, "unknown_s", 10.1)),
    "ever unknown": ("I10 unknown", lambda seen, _: setattr(seen, "unknown_s", None)),
    "without an end": ("I10 unknown", plant_endless),
    "key in a file": ("I14 secrets", lambda seen, _: seen.files.update({"x": b"=" + KEY})),
    "key in an output": ("I14 secrets", lambda seen, _: seen.outputs.update({"x": KEY.decode()})),
    "redirect": ("I14 secrets", lambda seen, _: setattr(seen, "redirected", 1)),
    "traceback": (
        "tracebacks",
        lambda seen, _: seen.outputs.update({"x": "Traceback (most recent call last):\n  E: x"}),
    ),
}


def test_a_round_without_a_fault_has_no_violation(tmp_path: Path) -> None:
    """One order, filled, logged and taped, at the limit: nothing is wrong."""
    assert check(good(tmp_path)) == []


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_violation_is_found(plant: str, tmp_path: Path) -> None:
    """What was planted is found under its invariant, and nothing else is."""
    name, act = PLANTS[plant]
    seen = good(tmp_path)
    act(seen, tmp_path)
    assert {found for found, _ in check(seen)} == {name}


def test_every_rule_has_a_plant() -> None:
    """No rule is believed that was never seen to fail."""
    assert {name for name, _ in PLANTS.values()} == set(RULES)


def test_what_earlier_runs_hold_counts(tmp_path: Path) -> None:
    """A second run's order that fits a limit by itself breaks it with what the first one bought."""
    seen = good(tmp_path)
    with_rows(seen, placed(3, OTHER))
    seen.log += [e._replace(order_id=8, order_hash=OTHER, run_id=1) for e in seen.log]
    assert [name for name, _ in check(seen)] == ["I1 exposure"]


def test_the_ledgers_cash_is_what_every_row_leaves(tmp_path: Path) -> None:
    """From the balance at the start: fills with their fees, sets, payouts; no failed trade."""
    seen = good(tmp_path)
    about = {"maker": MAKER, "ts": 3}
    seen.ledger.rows.insert(0, {"seq": 0, "ts": 0, "type": "start", "balance": 100_000_000})
    spent = next(row for row in seen.ledger.rows if row["type"] == "fill")
    rest = 100_000_000 - spent["notional"] - spent["fee"]
    assert seen.ledger.cash() == rest
    with_rows(seen, {"seq": 3, "type": "split", "cash": 5_000_000, **about})
    with_rows(seen, {"seq": 4, "type": "payout", "cash": 2_000_000, **about})
    assert seen.ledger.cash() == rest - 3_000_000
    with_rows(seen, {"seq": 5, "ts": 3, "type": "settle", "trade_id": TRADE, "status": "FAILED"})
    assert seen.ledger.cash() == 97_000_000


def test_failed_trades_are_neither_held_nor_lost(tmp_path: Path) -> None:
    """A trade the chain refused is no position; the tape need not know more than that."""
    seen = good(tmp_path)
    with_rows(seen, {"seq": 3, "ts": 3, "type": "settle", "trade_id": TRADE, "status": "FAILED"})
    seen.quiets = [replace(seen.quiets[0], core_shares=0, venue_shares=seen.ledger.shares())]
    assert check(seen) == []
