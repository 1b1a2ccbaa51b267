"""Cancels over HTTP, as clients spell them: twice, in capitals, wrong, a thousand at once."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from exchange_support import CONDITION, Served, served

from engine.exchange.accounts import KeyRole
from engine.exchange.server.app import Hosting
from engine.exchange.server.limits import Enforcement
from engine.wire.codes import Side
from signer.auth import ApiCredentials, L2Signer

UNKNOWN = "0x" + "ee" * 32


async def quote(exchange: Served, count: int = 1) -> list[str]:
    """Return the ids of so many resting orders."""
    exchange.hand.show()
    posted = [await exchange.post(Side.BUY, "0.40", "10") for _ in range(count)]
    assert {status for status, _, _ in posted} == {200}
    return [order_id for _, _, order_id in posted]


async def cancel(exchange: Served, path: str, body: Any) -> tuple[int, Any]:
    """Return (status, answer) of a cancel request."""
    return await exchange.call("DELETE", path, orjson.dumps(body))


async def test_an_id_named_twice_is_cancelled_once():
    """The order is told as cancelled, and nowhere as not cancelled, in whatever case."""
    async with served() as exchange:
        (order_id,) = await quote(exchange)
        shouted = "0x" + order_id[2:].upper()
        answer = await cancel(exchange, "/orders", [order_id, shouted, UNKNOWN, UNKNOWN])
        assert answer == (
            200,
            {
                "canceled": [order_id],
                "not_canceled": {UNKNOWN: "Order not found or already canceled"},
            },
        )


@pytest.mark.parametrize(
    "order_id", ["", "0x1", "ee" * 32, "0x" + "ee" * 31, "0x" + "zz" * 32, 7, None]
)
async def test_a_malformed_id_is_refused(order_id: Any):
    """What is no hash is an `Invalid orderID`, alone or among others, and nothing is cancelled."""
    async with served() as exchange:
        (mine,) = await quote(exchange)
        refused = (400, {"error": "Invalid orderID"})
        assert await cancel(exchange, "/order", {"orderID": order_id}) == refused
        assert await cancel(exchange, "/orders", [mine, order_id]) == refused
        assert exchange.hand.venue.desk.orders[mine].is_open


async def test_a_condition_is_one_in_any_case():
    """Orders of a market are listed and cancelled by its id in capitals too."""
    async with served() as exchange:
        ids = await quote(exchange, 2)
        shouted = "0x" + CONDITION[2:].upper()
        _, listed = await exchange.call("GET", f"/data/orders?market={shouted}")
        assert [row["id"] for row in listed["data"]] == ids
        _, answer = await cancel(exchange, "/cancel-market-orders", {"market": shouted})
        assert answer == {"canceled": ids, "not_canceled": {}}


async def test_a_thousand_cancels_pass_where_limits_are_enforced():
    """A batch larger than the bucket is admitted by a full one, and what it owes is waited for."""
    hosting = Hosting(enforcement=Enforcement.ENFORCE)
    async with served(hosting=hosting) as exchange:
        (order_id,) = await quote(exchange)
        ids = [order_id, *(f"0x{number:064x}" for number in range(999))]
        status, answer = await cancel(exchange, "/orders", ids)
        assert (status, answer["canceled"]) == (200, [order_id])
        assert (await cancel(exchange, "/order", {"orderID": order_id}))[0] == 429
        status, answer = await cancel(exchange, "/orders", [*ids, UNKNOWN])
        assert (status, answer["error"]) == (
            400,
            "Too many orders in payload, max allowed: 1000",
        )


@pytest.mark.parametrize("signed_by", ["owner", "builder"])
async def test_a_builders_key_is_revoked(signed_by: str):
    """The official client signs with the trading key, others with the builder's: both revoke it."""
    async with served() as exchange:
        status, made = await exchange.call("POST", "/auth/builder-api-key")
        assert status == 200
        headers = None
        if signed_by == "builder":
            names = (made["key"], made["secret"], made["passphrase"])
            l2 = L2Signer(ApiCredentials(*names), exchange.signing.address)
            signed = l2.headers(1, "DELETE", "/auth/builder-api-key", b"")
            headers = {
                name.replace("POLY_", "POLY_BUILDER_"): value for name, value in signed.items()
            }
        answer = await exchange.call("DELETE", "/auth/builder-api-key", headers=headers)
        assert answer == (200, "OK")
        assert exchange.hand.accounts.keys_of(exchange.hand.account, KeyRole.BUILDER) == []
        assert exchange.hand.accounts.key(exchange.key.key) is not None
