"""The signer process against a venue that answers every way the real one may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from signer_harness import API, PRIVATE_KEY, TOKEN_ID, Desk, Venue, order_answer, trading

from engine.wire.codes import Kind, OrderStatus, Reason, Tif
from signer.auth import l2_message, verify_l2
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey, recover_address
from signer.log_format import EntryKind, Scan, scan
from signer.order_v2 import order_from_json, order_hash

SEPARATOR = exchange_domain(2, 137, False).separator()


def hash_of(body: bytes) -> str:
    """The order id the venue computes from a body."""
    return "0x" + order_hash(order_from_json(json.loads(body)["order"]), SEPARATOR).hex()


def read_log(desk: Desk) -> Scan:
    """What the order log holds now."""
    return scan(desk.order_log.read_bytes(), "orders.log")


@pytest.fixture
def venue() -> Venue:
    """A venue that accepts orders and knows their ids."""
    venue = Venue()
    venue.hash_of = hash_of
    return venue


async def test_an_order_arrives_signed_logged_and_acknowledged(
    tmp_path: Path, venue: Venue
) -> None:
    """The venue gets a valid L2 request with our signature, and the core SIGNED, then ACK."""
    seen: dict[str, Any] = {}

    async def check(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message = l2_message(int(request.headers["POLY_TIMESTAMP"]), "POST", "/order", body)
        seen["l2"] = verify_l2(request.headers["POLY_SIGNATURE"], API["secret"], message)
        # The record is in the file before the bytes are here.
        seen["logged"] = [placed.entry for placed in read_log(desk).entries]
        return order_answer(hash_of(body))

    venue.on_order = check
    async with trading(tmp_path, venue) as desk:
        desk.order(5)
        ack = await desk.until(lambda: desk.report(Kind.ACK, 5), "ACK")
        body = venue.orders[0]
        fields = json.loads(body)["order"]
        digest = bytes.fromhex(hash_of(body)[2:])
        signature = bytes.fromhex(fields["signature"][2:])
        assert recover_address(digest, signature) == SigningKey.from_hex(PRIVATE_KEY).address
        assert fields["tokenId"] == str(TOKEN_ID + 1)
        assert (fields["makerAmount"], fields["takerAmount"]) == ("4800000", "10000000")
        assert seen["l2"]
        (entry,) = seen["logged"]
        assert (entry.kind, entry.order_id, entry.body) == (EntryKind.SIGNED, 5, body)
        assert entry.order_hash == digest

        assert desk.kinds() == ["SIGNED", "ACK"]
        signed = desk.report(Kind.SIGNED, 5)
        assert signed is not None
        assert bytes(signed["order_hash"]) == digest
        assert (signed["maker_amount"], signed["taker_amount"]) == (4_800_000, 10_000_000)
        assert (ack["trace"], ack["instrument"], ack["status"]) == (1_005, 1, OrderStatus.LIVE)
        stages = [int(ack[f"{s}_ns"]) for s in ("polled", "signed", "logged", "sent", "answered")]
        assert stages == sorted(stages)
        assert stages[0] > 0
        assert await desk.stop() == 0
        assert desk.stderr == ""
        kinds = [placed.entry.kind for placed in read_log(desk).entries]
        assert kinds == [EntryKind.SIGNED, EntryKind.ACKED, EntryKind.DONE]


def text(status: int, body: str, content_type: str = "application/json") -> Any:
    """A handler that answers the same to everyone."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, content_type=content_type)

    return answer


def error(message: str) -> str:
    """The venue's error body."""
    return json.dumps({"error": message})


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (text(400, error("not enough balance / allowance")), Reason.VENUE_BALANCE),
        (text(400, error("order 0x1 is invalid. Price (0.481) breaks minimum tick size rule")),
         Reason.VENUE_TICK),
        (text(400, error("invalid post-only order: order crosses book")),
         Reason.VENUE_POST_ONLY_CROSSES),
        (text(200, json.dumps({"success": True, "errorMsg": "invalid expiration", "orderID": ""})),
         Reason.VENUE_EXPIRATION),
        (text(401, error("Unauthorized/Invalid api key")), Reason.VENUE_AUTH),
        (text(403, "<html>blocked</html>", "text/html"), Reason.VENUE_BANNED),
        (text(425, error("service not ready")), Reason.VENUE_RESTARTING),
        (text(429, "<html>Too Many Requests</html>", "text/html"), Reason.VENUE_RATE),
        (text(503, error("Trading is currently cancel-only. New orders are not accepted")),
         Reason.VENUE_CANCEL_ONLY),
        (text(503, json.dumps({"error": "post-only mode: …", "code": "post_only_mode"})),
         Reason.VENUE_POST_ONLY_MODE),
    ],
)  # fmt: skip
async def test_a_refusal_is_a_reject_with_its_reason(
    tmp_path: Path, venue: Venue, handler: Any, reason: Reason
) -> None:
    """A certain refusal ends the order at once; nobody looks it up."""
    venue.on_order = handler
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 1), "REJECT")
        assert Reason(int(reject["reason"])) is reason
        assert desk.kinds() == ["SIGNED", "REJECT"]
        assert venue.look_ups == []


async def close_before_reply(request: web.Request) -> web.StreamResponse:
    """Take the order and hang up."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def close_mid_reply(request: web.Request) -> web.StreamResponse:
    """Begin an answer and hang up."""
    assert request.transport is not None
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"success":true'
    request.transport.write(head)
    await asyncio.sleep(0.02)
    request.transport.close()
    return web.Response()


async def garbage(request: web.Request) -> web.StreamResponse:
    """Answer something that is not HTTP."""
    assert request.transport is not None
    request.transport.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await asyncio.sleep(5)
    return web.Response()


async def slow(_request: web.Request) -> web.StreamResponse:
    """Answer when nobody waits any more."""
    await asyncio.sleep(5)
    return web.Response()


UNSEEN: list[tuple[Callable[[web.Request], Awaitable[web.StreamResponse]], Reason]] = [
    (close_before_reply, Reason.CONNECTION_LOST),
    (close_mid_reply, Reason.CONNECTION_LOST),
    (garbage, Reason.UNREADABLE_ANSWER),
    (slow, Reason.TIMEOUT),
    (text(500, error("could not insert order")), Reason.VENUE_ERROR),
    (text(502, "<html>bad gateway</html>", "text/html"), Reason.VENUE_ERROR),
    (text(400, error("order 0x1 is invalid. Duplicated.")), Reason.VENUE_DUPLICATED),
    (text(200, "not json"), Reason.UNREADABLE_ANSWER),
]


@pytest.mark.parametrize(("handler", "reason"), UNSEEN)
async def test_an_unseen_outcome_is_unknown_until_the_order_is_found(
    tmp_path: Path, venue: Venue, handler: Any, reason: Reason
) -> None:
    """UNKNOWN comes first; a look-up that finds the order alive makes it an ACK."""
    venue.on_order = handler

    async def alive(request: web.Request) -> web.StreamResponse:
        content = {"id": request.match_info["id"], "status": "LIVE", "size_matched": "0"}
        return web.json_response(content)

    venue.on_look_up = alive
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        unknown = desk.report(Kind.UNKNOWN, 1)
        assert unknown is not None
        assert Reason(int(unknown["reason"])) is reason
        assert desk.kinds() == ["SIGNED", "UNKNOWN", "ACK"]
        assert len(venue.orders) == 1
        assert venue.look_ups == [hash_of(venue.orders[0])]


async def test_an_order_too_old_to_send_again_is_dead_when_nothing_finds_it(
    tmp_path: Path, venue: Venue
) -> None:
    """Two look-ups a request's lifetime apart, a cancel by hash, and one more look-up."""
    asked_s: list[float] = []
    cancelled_s: list[float] = []

    async def nothing(request: web.Request) -> web.StreamResponse:
        cancelled_s.append(asyncio.get_running_loop().time())
        order = json.loads(await request.read())["orderID"]
        return web.json_response({"canceled": [], "not_canceled": {order: "Order not found"}})

    async def missing(request: web.Request) -> web.StreamResponse:
        asked_s.append(asyncio.get_running_loop().time())
        if len(asked_s) == 2:  # an error in between proves nothing
            return web.Response(status=500)
        return await venue.not_found(request)

    venue.on_order = close_before_reply
    venue.on_look_up, venue.on_cancel = missing, nothing
    async with trading(tmp_path, venue, resend_age_ms_max=0) as desk:
        desk.order(1)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 1), "REJECT")
        assert Reason(int(reject["reason"])) is Reason.VENUE_NOT_FOUND
        assert len(asked_s) >= 4
        assert cancelled_s[0] - asked_s[0] >= 0.4
        assert asked_s[-1] > cancelled_s[-1]
        assert desk.kinds() == ["SIGNED", "UNKNOWN", "REJECT"]
        assert len(venue.orders) == 1


async def test_without_a_connection_nothing_is_unknown(tmp_path: Path, venue: Venue) -> None:
    """An order that could not leave is a definitive refusal, and is never looked up."""
    async with trading(tmp_path, venue) as desk:
        await desk.stop()
        desk.runtime.settings["venue"]["rest_url"] = "http://127.0.0.1:1"
        desk.runtime.save()
        desk.launch()
        desk.announce()
        desk.order(9)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 9), "REJECT")
        assert Reason(int(reject["reason"])) is Reason.NO_CONNECTION
        assert venue.look_ups == []
        assert await desk.stop() == 0


async def test_a_matched_order_tells_what_it_made_and_took(tmp_path: Path, venue: Venue) -> None:
    """Human decimals of the answer become exact micros in the ACK."""

    async def matched(request: web.Request) -> web.StreamResponse:
        return order_answer(
            hash_of(await request.read()),
            status="matched",
            makingAmount="4.8",
            takingAmount="10.000001",
        )

    venue.on_order = matched
    async with trading(tmp_path, venue) as desk:
        desk.order(1, tif=Tif.FOK)
        ack = await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert (ack["making"], ack["taking"]) == (4_800_000, 10_000_001)
        assert ack["status"] == OrderStatus.MATCHED


async def test_a_canceled_order_is_done(tmp_path: Path, venue: Venue) -> None:
    """A cancel the venue acknowledges ends the order."""
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        desk.cancel(1)
        done = await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert (done["reason"], done["matched"]) == (Reason.CANCELED, -1)
        assert venue.cancels == [{"orderID": hash_of(venue.orders[0])}]


async def test_a_cancel_that_comes_too_late_reports_the_fill(tmp_path: Path, venue: Venue) -> None:
    """`already matched` is looked up: DONE carries the shares that matched."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        order = json.loads(await request.read())["orderID"]
        return web.json_response({"canceled": [], "not_canceled": {order: "Order already matched"}})

    async def matched(request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"id": request.match_info["id"], "status": "MATCHED", "size_matched": "10"}
        )

    venue.on_cancel, venue.on_look_up = refuse, matched
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        desk.cancel(1)
        done = await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert (done["reason"], done["matched"]) == (Reason.FILLED, 10_000_000)


async def test_a_cancel_waits_for_the_orders_own_answer(tmp_path: Path, venue: Venue) -> None:
    """While the order's request is on the way, "not found" would prove nothing."""
    release = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return order_answer(hash_of(await request.read()))

    venue.on_order = held
    async with trading(tmp_path, venue, request_timeout_ms=20_000) as desk:
        desk.order(1)
        await desk.until(lambda: venue.orders, "the order")
        desk.cancel(1)
        desk.order(2, price=990_001)  # refused at once: by then the cancel has been read
        await desk.until(lambda: desk.report(Kind.REJECT, 2), "REJECT")
        assert venue.cancels == []
        release.set()
        await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert len(venue.cancels) == 1


async def test_cancel_all_is_repeated_until_acknowledged(tmp_path: Path, venue: Venue) -> None:
    """Errors are answered with another try; the orders it lists are done."""

    async def stubborn(_request: web.Request) -> web.StreamResponse:
        if venue.cancel_alls < 3:
            return web.Response(status=500)
        hashes = [hash_of(body) for body in venue.orders]
        return web.json_response({"canceled": hashes, "not_canceled": {}})

    venue.on_cancel_all = stubborn
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        desk.order(2)
        await desk.until(lambda: desk.report(Kind.ACK, 1) and desk.report(Kind.ACK, 2), "ACKs")
        desk.cancel_all()
        await desk.until(lambda: desk.report(Kind.DONE, 1) and desk.report(Kind.DONE, 2), "DONEs")
        assert venue.cancel_alls == 3


async def test_a_silent_core_has_its_orders_cancelled(tmp_path: Path, venue: Venue) -> None:
    """When the heartbeat stops, everything is cancelled once, and new orders are refused."""
    async with trading(tmp_path, venue, core_silence_ms_max=300) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        desk.beats = False
        await desk.until(lambda: venue.cancel_alls, "DELETE /cancel-all")
        desk.order(2)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 2), "REJECT")
        assert Reason(int(reject["reason"])) is Reason.CORE_SILENT
        assert venue.cancel_alls == 1
        assert desk.count("core_silent") == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": 485_000}, Reason.POLICY_PRICE),
        ({"price": 995_000}, Reason.POLICY_PRICE),
        ({"size": 0}, Reason.POLICY_SIZE),
        ({"size": 200_000_000}, Reason.POLICY_SIZE),
        ({"price": 900_000, "size": 60_000_000}, Reason.POLICY_NOTIONAL),
        ({"instrument": 99}, Reason.POLICY_TOKEN),
        ({"side": 2}, Reason.POLICY_TOKEN),
        ({"tif": 9}, Reason.POLICY_TOKEN),
    ],
)
async def test_the_policy_refuses_before_anything_is_signed(
    tmp_path: Path, venue: Venue, changes: dict[str, Any], reason: Reason
) -> None:
    """An order out of policy is a REJECT; nothing is signed, logged or sent."""
    async with trading(tmp_path, venue) as desk:
        desk.order(1, **changes)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 1), "REJECT")
        assert Reason(int(reject["reason"])) is reason
        assert desk.kinds() == ["REJECT"]
        assert read_log(desk).entries == []


async def test_after_a_kill_nothing_is_signed_twice(tmp_path: Path, venue: Venue) -> None:
    """A signer killed before it saw the answer looks its order up and never sends another."""
    venue.on_order = slow

    async def alive(request: web.Request) -> web.StreamResponse:
        content = {"id": request.match_info["id"], "status": "LIVE", "size_matched": "0"}
        return web.json_response(content)

    venue.on_look_up = alive
    async with trading(tmp_path, venue, request_timeout_ms=20_000) as desk:
        desk.order(1)
        await desk.until(lambda: venue.orders, "the order")
        await desk.stop(9)
        desk.launch()
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        desk.announce()
        desk.order(1)  # the same command again
        await desk.until(lambda: desk.count("repeated_orders") == 1, "the repetition")
        await desk.until(lambda: desk.kinds().count("ACK") == 2, "evidence again")
        assert len(venue.orders) == 1
        kinds = [placed.entry.kind for placed in read_log(desk).entries]
        assert kinds.count(EntryKind.SIGNED) == 1


async def test_a_stop_cancels_what_rests(tmp_path: Path, venue: Venue) -> None:
    """SIGTERM with a live order: one cancel-all, then a clean end; no secret in any file."""
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert await desk.stop() == 0
        assert venue.cancel_alls == 1
        secrets = [PRIVATE_KEY[2:].encode(), API["secret"].encode(), API["passphrase"].encode()]
        for path in tmp_path.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not any(secret in content for secret in secrets), path


async def test_damage_in_the_order_log_refuses_to_start(tmp_path: Path, venue: Venue) -> None:
    """Damage before intact entries: exit 78 and one line that names the offset."""
    async with trading(tmp_path, venue) as desk:
        for order_id in range(1, 4):
            desk.order(order_id)
            await desk.until(lambda n=order_id: desk.report(Kind.ACK, n), "ACK")
        await desk.stop()
        data = bytearray(desk.order_log.read_bytes())
        data[60] ^= 1
        desk.order_log.write_bytes(data)
        desk.launch()
        assert desk.process is not None
        while desk.process.poll() is None:
            await asyncio.sleep(0.001)
        assert await desk.stop(0) == 78
        assert "damaged in the middle" in desk.stderr
        assert "offset=32" in desk.stderr
        assert desk.stderr.count("\n") == 1


async def test_a_burst_is_signed_in_order_and_answered(tmp_path: Path, venue: Venue) -> None:
    """Many orders in one batch: each is signed once, sent once and acknowledged."""
    async with trading(tmp_path, venue, request_timeout_ms=20_000) as desk:
        for order_id in range(1, 41):
            desk.order(order_id)
        await desk.until(lambda: desk.kinds().count("ACK") == 40, "40 ACKs")
        ids = [
            int(np.uint64(row[4])) for row in desk.reports if int(row[0]) & 0xFFFF == Kind.SIGNED
        ]
        assert ids == list(range(1, 41))
        assert len({hash_of(body) for body in venue.orders}) == 40
