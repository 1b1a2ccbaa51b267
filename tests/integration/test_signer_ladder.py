"""The signing ladder inside the signer process: the core and the venue see one order id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web
from signer_harness import API, PRIVATE_KEY, Venue, trading

from engine.wire.codes import Kind, Tif
from signer.auth import l2_message, verify_l2
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey, recover_address
from signer.order_v2 import order_from_json, order_hash

SEPARATOR = exchange_domain(2, 137, False).separator()
SALT = 7_000_000  # of order 0 in the harness
ATTEMPTS = 5
IDLE_ROUNDS = 20


def hash_of(body: bytes) -> str:
    """The order id the venue computes from a body."""
    return "0x" + order_hash(order_from_json(json.loads(body)["order"]), SEPARATOR).hex()


async def test_the_core_learns_the_id_of_an_order_signed_ahead(tmp_path: Path) -> None:
    """The second order of its kind is ready: SIGNED has the id the venue has; the hits are counted.

    Its salt is not the command's, and it is ours by its signature like every other.
    """
    venue = Venue()
    venue.hash_of = hash_of
    rungs = {"nonces": 8, "presigned": 8, "presigned_levels": 1, "presigned_age_ms_max": 60_000}
    async with trading(tmp_path, venue, **rungs) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        await desk.until(lambda: desk.count("nonces_left") == 8, "nonces")
        await desk.until(lambda: desk.count("presigned_left") == 3, "three levels")
        desk.order(2)
        await desk.until(lambda: desk.report(Kind.ACK, 2), "ACK")
        first, second = (json.loads(body)["order"] for body in venue.orders)
        assert first["salt"] == SALT + 1
        assert second["salt"] != SALT + 2
        for order_id, body in enumerate(venue.orders, 1):
            signed = desk.report(Kind.SIGNED, order_id)
            assert signed is not None
            digest = bytes(signed["order_hash"])
            assert "0x" + digest.hex() == hash_of(body)
            signature = bytes.fromhex(json.loads(body)["order"]["signature"][2:])
            assert recover_address(digest, signature) == SigningKey.from_hex(PRIVATE_KEY).address
        await desk.until(lambda: desk.count("signed_ahead") == 1, "the hit")
        assert desk.count("signed_with_nonce") == 1
        assert desk.count("signed_full") == 0
        await desk.until(lambda: desk.count("presigned_left") == 3, "three levels again")
        desk.announce(tick=1_000)
        await desk.until(lambda: desk.count("presigned_dropped") >= 3, "a new tick")


async def test_an_armed_order_is_signed_before_it_is_asked_for(tmp_path: Path) -> None:
    """The first order of its kind hits: its signature was there since it was armed.

    The venue accepts its request, whichever second it was written for. What policy would refuse is
    not signed ahead, and neither is an instrument nobody announced.
    """
    venue = Venue()
    venue.hash_of = hash_of
    are_proven = []

    async def prove(request: web.Request) -> web.StreamResponse:
        headers, body = request.headers, await request.read()
        message = l2_message(int(headers["POLY_TIMESTAMP"]), "POST", "/order", body)
        are_proven.append(verify_l2(headers["POLY_SIGNATURE"], API["secret"], message))
        return await venue.accept(request)

    venue.on_order = prove
    rungs = {"presigned": 8, "presigned_levels": 0, "presigned_age_ms_max": 60_000}
    async with trading(tmp_path, venue, **rungs) as desk:
        desk.arm(strategy=2, instrument=9)
        desk.arm(strategy=3, price=485_001)
        desk.arm(strategy=4, side=7)
        desk.arm(strategy=5, size=1 << 60)
        desk.arm()
        await desk.until(lambda: desk.count("presigned_left") == 1, "the armed order")
        desk.order(1, tif=Tif.FOK)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        signed = desk.report(Kind.SIGNED, 1)
        assert signed is not None
        assert "0x" + bytes(signed["order_hash"]).hex() == hash_of(venue.orders[0])
        await desk.until(lambda: desk.count("signed_ahead") == 1, "the hit")
        assert are_proven == [True]
        assert desk.count("commands_unknown") == 0


@pytest.mark.parametrize("order_batch_max", [1, 2])
async def test_the_request_of_an_armed_order_is_ready_as_well(
    tmp_path: Path, order_batch_max: int
) -> None:
    """After some idle rounds it only has to be sent; where orders go in batches, none is written.

    A signer that is held up for more than a second writes it on demand, so there are some attempts.
    """
    venue = Venue()
    venue.hash_of = hash_of
    chosen = {"presigned": 4, "presigned_levels": 0, "presigned_age_ms_max": 60_000}
    async with trading(tmp_path, venue, **chosen, order_batch_max=order_batch_max) as desk:
        for order_id in range(1, ATTEMPTS + 1):
            desk.arm()
            seen = desk.count("rounds")
            await desk.until(lambda: desk.count("presigned_left") == 1, "the armed order")
            await desk.until(lambda n=seen: desk.count("rounds") > n + IDLE_ROUNDS, "idle rounds")
            desk.order(order_id, tif=Tif.FOK)
            await desk.until(lambda n=order_id: desk.report(Kind.ACK, n), "ACK")
            await desk.until(lambda n=order_id: desk.count("signed_ahead") == n, "the hit")
            if desk.count("sent_ready"):
                break
        assert bool(desk.count("sent_ready")) is (order_batch_max == 1)
