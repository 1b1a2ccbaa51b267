"""An order whose outcome was not seen: the same bytes again, and what proves that it is dead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from signer_harness import Desk, Venue, order_answer, trading
from test_signer_process import close_before_reply, error, hash_of, read_log, text

from engine.wire.codes import Kind, Reason
from signer.log_format import EntryKind


@pytest.fixture
def venue() -> Venue:
    """A venue that knows the ids of its orders."""
    venue = Venue()
    venue.hash_of = hash_of
    return venue


async def test_an_order_that_never_arrived_is_sent_again_with_the_same_bytes(
    tmp_path: Path, venue: Venue
) -> None:
    """Lost, not found, sent again, accepted: one signature, one body, one order."""

    async def lose_the_first(request: web.Request) -> web.StreamResponse:
        if len(venue.orders) == 1:
            return await close_before_reply(request)
        return await venue.accept(request)

    venue.on_order = lose_the_first
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert desk.kinds() == ["SIGNED", "UNKNOWN", "ACK"]
        assert len(venue.orders) == 2
        assert venue.orders[0] == venue.orders[1]
        kinds = [placed.entry.kind for placed in read_log(desk).entries]
        assert kinds == [EntryKind.SIGNED, EntryKind.UNKNOWN, EntryKind.ACKED]
        await desk.until(lambda: desk.count("orders_resent") == 1, "the counter")


async def test_an_order_refused_the_second_time_is_dead_when_it_is_missing_twice(
    tmp_path: Path, venue: Venue
) -> None:
    """The refusal alone does not do: the first copy may still be on its way."""

    async def lose_the_first(request: web.Request) -> web.StreamResponse:
        if len(venue.orders) == 1:
            return await close_before_reply(request)
        venue.look_ups.clear()
        return await text(400, error("not enough balance / allowance"))(request)

    venue.on_order = lose_the_first
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 1), "REJECT")
        assert Reason(int(reject["reason"])) is Reason.VENUE_BALANCE
        assert len(venue.orders) == 2
        assert len(venue.look_ups) == 2
        assert desk.kinds() == ["SIGNED", "UNKNOWN", "REJECT"]


async def test_a_first_copy_that_arrives_late_is_found(tmp_path: Path, venue: Venue) -> None:
    """Refused the second time, and then there after all: the order is alive."""

    async def lose_the_first(request: web.Request) -> web.StreamResponse:
        if len(venue.orders) == 1:
            return await close_before_reply(request)
        venue.on_look_up = arrive
        return await text(425, error("service not ready"))(request)

    async def arrive(request: web.Request) -> web.StreamResponse:
        if len(venue.look_ups) < 3:
            return await venue.not_found(request)
        content = {"id": request.match_info["id"], "status": "LIVE", "size_matched": "0"}
        return web.json_response(content)

    venue.on_order = lose_the_first
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert desk.kinds() == ["SIGNED", "UNKNOWN", "ACK"]
        assert len(venue.orders) == 2


async def test_an_order_the_venue_has_had_is_never_dead_by_not_found(
    tmp_path: Path, venue: Venue
) -> None:
    """`Duplicated` says that it is there: it is asked for until it is found."""

    async def found_at_last(request: web.Request) -> web.StreamResponse:
        if len(venue.look_ups) < 4:
            return await venue.not_found(request)
        content = {"id": request.match_info["id"], "status": "CANCELED", "size_matched": "1.5"}
        return web.json_response(content)

    async def duplicated(request: web.Request) -> web.StreamResponse:
        if len(venue.orders) == 1:
            return await close_before_reply(request)
        return await text(400, error("order 0x1 is invalid. Duplicated."))(request)

    venue.on_order, venue.on_look_up = duplicated, found_at_last
    async with trading(tmp_path, venue, request_timeout_ms=100) as desk:
        desk.order(1)
        done = await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert (done["reason"], done["matched"]) == (Reason.CANCELED, 1_500_000)
        assert len(venue.orders) == 2


async def test_nothing_is_sent_again_once_a_cancel_is_wanted(tmp_path: Path, venue: Venue) -> None:
    """An order that should not live is not brought to life to learn whether it does."""
    venue.on_order = close_before_reply

    async def unknown(request: web.Request) -> web.StreamResponse:
        order = json.loads(await request.read())["orderID"]
        return web.json_response({"canceled": [], "not_canceled": {order: "Order not found"}})

    venue.on_cancel = unknown
    async with trading(tmp_path, venue, request_timeout_ms=100) as desk:
        desk.order(1)
        desk.cancel(1)
        await desk.until(lambda: desk.report(Kind.REJECT, 1), "REJECT")
        assert len(venue.orders) == 1


@pytest.mark.parametrize(
    "content",
    [{"success": True, "errorMsg": "", "orderID": ""}, {"message": "no"}, {"foo": 1}, {}, []],
    ids=["no id", "message", "foo", "empty", "list"],
)
async def test_an_answer_without_id_and_reason_is_looked_up(
    tmp_path: Path, venue: Venue, content: Any
) -> None:
    """The order rests all the same, and is found by its hash."""

    async def resting(request: web.Request) -> web.StreamResponse:
        content = {"id": request.match_info["id"], "status": "LIVE", "size_matched": "0"}
        return web.json_response(content)

    venue.on_order, venue.on_look_up = text(200, json.dumps(content)), resting
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert desk.kinds() == ["SIGNED", "UNKNOWN", "ACK"]


async def test_an_order_of_another_version_stops_new_orders_and_is_looked_up(
    tmp_path: Path, venue: Venue
) -> None:
    """`order_version_mismatch` is a latch; the order ends by evidence, sent once."""
    venue.on_order = text(400, error("order_version_mismatch"))
    venue.on_cancel = nothing_to_cancel
    async with trading(tmp_path, venue, request_timeout_ms=100) as desk:
        desk.order(1)
        assert await desk.until(lambda: desk.report(Kind.UNKNOWN, 1), "UNKNOWN")
        await desk.until(lambda: desk.report(Kind.REJECT, 1), "REJECT")
        assert await refused(desk, 2) is Reason.VENUE_VERSION
        await desk.until(lambda: desk.count("latched_reason") == Reason.VENUE_VERSION, "the latch")
        assert len(venue.orders) == 1


async def nothing_to_cancel(request: web.Request) -> web.StreamResponse:
    """Know nothing of the order that is to be cancelled."""
    order = json.loads(await request.read())["orderID"]
    return web.json_response({"canceled": [], "not_canceled": {order: "Order not found"}})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_proves_nothing(
    tmp_path: Path, venue: Venue, status: int
) -> None:
    """The order is UNKNOWN and looked up; the place that was named never hears of it."""
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response({})

    other = web.AppRunner(web.Application(), access_log=None)
    other.app.router.add_route("*", "/{tail:.*}", elsewhere)
    await other.setup()
    await web.TCPSite(other, "127.0.0.1", 0).start()
    target = f"http://127.0.0.1:{other.addresses[0][1]}/order"

    async def away(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": target})

    venue.on_order = venue.on_cancel = venue.on_cancel_all = venue.on_look_up = away
    try:
        async with trading(tmp_path, venue, request_timeout_ms=100) as desk:
            desk.order(1)
            unknown = await desk.until(lambda: desk.report(Kind.UNKNOWN, 1), "UNKNOWN")
            assert unknown["http_status"] == status
            desk.cancel(1)
            desk.cancel_all()
            await desk.until(
                lambda: (
                    len(venue.look_ups) > 2 and len(venue.cancels) > 2 and venue.cancel_alls > 2
                ),
                "each asked again",
            )
            assert desk.kinds() == ["SIGNED", "UNKNOWN"]
    finally:
        await other.cleanup()
    assert asked == []


async def test_one_refused_credential_is_quietly_tried_again(tmp_path: Path, venue: Venue) -> None:
    """The venue refuses good keys now and then: the same bytes pass the second time."""

    async def moody(request: web.Request) -> web.StreamResponse:
        if len(venue.orders) == 1:
            return await text(401, error("Unauthorized/Invalid api key"))(request)
        return order_answer(hash_of(await request.read()))

    venue.on_order = moody
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert desk.kinds() == ["SIGNED", "ACK"]
        assert venue.orders[0] == venue.orders[1]


async def refused(desk: Desk, order_id: int, **terms: int) -> Reason:
    """Send an order and return why it was refused."""
    desk.order(order_id, **terms)
    reject = await desk.until(lambda: desk.report(Kind.REJECT, order_id), "REJECT")
    return Reason(int(reject["reason"]))


async def test_five_refused_credentials_in_a_row_stop_new_orders(
    tmp_path: Path, venue: Venue
) -> None:
    """After the fifth nothing is sent any more; cancels still are."""
    venue.on_order = text(401, error("Unauthorized/Invalid api key"))
    async with trading(tmp_path, venue) as desk:
        for order_id in range(1, 5):
            assert await refused(desk, order_id) is Reason.VENUE_AUTH
        assert len(venue.orders) == 5
        desk.cancel_all()
        await desk.until(lambda: venue.cancel_alls, "DELETE /cancel-all")
        await desk.until(lambda: desk.count("latched_reason") == Reason.VENUE_AUTH, "the latch")
