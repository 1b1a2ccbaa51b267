"""Venues that answer what they should not, for FOR_S from the moment they are let loose."""

from __future__ import annotations

import json
import random
import time

from siege.stage import Stage

FOR_S = 8.0
POST_BODIES = (
    '{"success":true}',
    '{"success":true,"status":"matched"}',
    '{"message":"accepted"}',
    "{}",
    '{"success":true,"orderID":"","status":"live"}',
)
CANCEL_BODIES = ('{"canceled":[],"not_canceled":{}}', '{"error":"try again"}', "{}", "[]", "null")
MAYBE_TEXTS = (
    "order may have been placed",
    "request timed out, the order may still be processed",
    "could not run the execution",
)
WORDS = ("SETTLED", "MATCHED_NOT_BROADCASTED", "SOMETHING_NEW")
ACCOUNT_ROUTES = (
    "POST /order", "DELETE /order", "DELETE /orders", "DELETE /cancel-all", "GET /data/*",
    "GET /balance-allowance",
)  # fmt: skip


def orders(rng: random.Random) -> str:
    """Return two ways in which orders are answered badly."""
    body, text = rng.choice(POST_BODIES), rng.choice(MAYBE_TEXTS)
    ways = [
        {"kind": "error_after", "status": 200, "body": body},
        {"kind": "error_before", "status": 200, "body": body},
        {"kind": "error_after", "status": rng.choice((400, 409, 422)), "text": text},
        {"kind": "lost_reply"},
        {"kind": "lost_request"},
        {"kind": "error_after", "status": rng.choice((500, 502, 503))},
        {"kind": "error_before", "status": rng.choice((500, 502, 503))},
        {"kind": "late_reply", "delay_ms": rng.choice((500, 3_000, 6_000))},
        {"kind": "reset"},
    ]
    chosen = rng.sample(ways, 2)
    return "".join(
        _fault(route=route, chance=0.3, **way)
        for way in chosen
        for route in ("POST /order", "POST /orders")
    ) + _settlement(rng)


def cancels(rng: random.Random) -> str:
    """Return cancels that are answered with 200 and name nothing."""
    body = rng.choice(CANCEL_BODIES)
    kind = rng.choice(("error_before", "error_after"))
    routes = (
        "DELETE /cancel-all",
        "DELETE /order",
        "DELETE /orders",
        "DELETE /cancel-market-orders",
    )
    return "".join(
        _fault(kind=kind, status=200, body=body, route=route, chance=0.8) for route in routes
    )


def stream(rng: random.Random) -> str:
    """Return a user stream that loses, repeats and reorders, and a word that is not known."""
    faults = [
        {"kind": "lose", "chance": 0.3},
        {"kind": "shuffle", "chance": 0.3},
        {"kind": "repeat", "chance": 0.3},
        {"kind": "reword", "chance": 0.2, "text": rng.choice(WORDS)},
        {"kind": "resize", "chance": 0.2},
        {"kind": "hang_up", "chance": 0.05},
    ]
    chosen = rng.sample(faults, 2)
    return "".join(_fault(stream="user", **fault) for fault in chosen) + _settlement(rng)


def look_ups(rng: random.Random) -> str:
    """Return a user stream that loses, and read-backs that are wrong or absent."""
    faults = [
        {"kind": "bad_row"},
        {"kind": "empty_page"},
        {"kind": "error_before", "status": 401, "text": "invalid api key"},
        {"kind": "error_before", "status": 500},
        {"kind": "new_schema"},
        {"kind": "late_reply", "delay_ms": 3_000},
    ]
    lost = _fault(kind="lose", stream="user", chance=0.3)
    chosen = rng.sample(faults, 2)
    return lost + "".join(_fault(route="GET /data/*", chance=0.5, **fault) for fault in chosen)


def redirects(rng: random.Random) -> str:
    """Return redirects of every account route to another address."""
    status = rng.choice((301, 302, 303, 307, 308))
    return "".join(
        _fault(kind="error_before", status=status, location="{door}", route=route, chance=0.5)
        for route in ACCOUNT_ROUTES
    )


def endure(stage: Stage) -> None:
    """Trade through it until the venue is well."""
    stage.let_loose()
    time.sleep(FOR_S)


def endure_halt(stage: Stage) -> None:
    """Halt in the middle of it."""
    stage.let_loose()
    stage.pause(1.0, FOR_S / 2)
    stage.halt()
    time.sleep(FOR_S)


def _settlement(rng: random.Random) -> str:
    """Half the venues have ghost fills, within the round."""
    if rng.random() < 0.5:
        return ""
    return "[settlement]\nfail_ppm = 200_000\nfail_ms_min = 500\nfail_ms_max = 3_000\n"


def _fault(**keys: object) -> str:
    timed = {"for_s": FOR_S, **keys}
    return "[[fault]]\n" + "".join(f"{key} = {json.dumps(timed[key])}\n" for key in timed)
