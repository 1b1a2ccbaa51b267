"""A venue that restarts, throttles, blocks or loses us: what the signer still sends."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from signer_harness import Desk, Venue, order_answer, order_content, trading
from test_signer_process import error, hash_of, text

from engine.wire.codes import Kind, Reason


@pytest.fixture
def venue() -> Venue:
    """A venue that knows the ids of its orders."""
    venue = Venue()
    venue.hash_of = hash_of
    return venue


async def refused(desk: Desk, order_id: int, **terms: Any) -> tuple[Reason, int]:
    """Send an order and return why it was refused, and with which HTTP status (0 = not sent)."""
    desk.order(order_id, **terms)
    reject = await desk.until(lambda: desk.report(Kind.REJECT, order_id), "REJECT")
    return Reason(int(reject["reason"])), int(reject["http_status"])


async def acked(desk: Desk, order_id: int, **terms: Any) -> None:
    """Send an order that the venue takes."""
    desk.order(order_id, **terms)
    await desk.until(lambda: desk.report(Kind.ACK, order_id), "ACK")


async def until_acked(desk: Desk, order_id: int, **terms: Any) -> None:
    """Send one order after the other until the venue takes one."""
    for number in itertools.count(order_id):
        desk.order(number, **terms)
        ends = {}

        def has_ended(number: int = number, ends: dict[Kind, bool] = ends) -> bool:
            for kind in (Kind.ACK, Kind.REJECT):
                ends[kind] = desk.report(kind, number) is not None
            return any(ends.values())

        await desk.until(has_ended, "an end")
        if ends[Kind.ACK]:
            return


async def test_after_a_restart_only_quotes_are_sent_for_a_while(
    tmp_path: Path, venue: Venue
) -> None:
    """425: nothing for a second, then post-only orders, and takes once the window is over."""
    venue.on_order = text(425, error("service not ready"))
    async with trading(tmp_path, venue, post_only_window_ms=4_000) as desk:
        assert await refused(desk, 1) == (Reason.VENUE_RESTARTING, 425)
        venue.on_order = venue.accept
        assert await refused(desk, 2, post_only=1) == (Reason.VENUE_RESTARTING, 0)
        await until_acked(desk, 1_000, post_only=1)
        assert await refused(desk, 3) == (Reason.VENUE_POST_ONLY_MODE, 0)
        await until_acked(desk, 3_000)


async def test_post_only_mode_lasts_as_long_as_its_body_says(tmp_path: Path, venue: Venue) -> None:
    """A take is refused once by the venue and then here; quotes and cancels pass."""
    body = {"error": "post-only mode: only post-only orders and cancels are allowed"}
    body |= {"code": "post_only_mode", "retry_after_seconds": 90}  # type: ignore[dict-item]
    venue.on_order = text(503, json.dumps(body))
    async with trading(tmp_path, venue) as desk:
        assert await refused(desk, 1) == (Reason.VENUE_POST_ONLY_MODE, 503)
        venue.on_order = venue.accept
        assert await refused(desk, 2) == (Reason.VENUE_POST_ONLY_MODE, 0)
        await acked(desk, 3, post_only=1)
        desk.cancel(3)
        await desk.until(lambda: desk.report(Kind.DONE, 3), "DONE")
        assert len(venue.orders) == 2


async def test_429_is_paced_by_retry_after_and_cancels_go_on(tmp_path: Path, venue: Venue) -> None:
    """An HTML page with `Retry-After: 60`: one request, no spin; a cancel is not an order."""

    async def throttle(_request: web.Request) -> web.StreamResponse:
        page, headers = "<html>slow down</html>", {"Retry-After": "60"}
        return web.Response(status=429, text=page, content_type="text/html", headers=headers)

    async with trading(tmp_path, venue) as desk:
        await acked(desk, 1)
        venue.on_order = throttle
        assert await refused(desk, 2) == (Reason.VENUE_RATE, 429)
        for order_id in range(3, 8):
            assert await refused(desk, order_id) == (Reason.VENUE_RATE, 0)
        desk.cancel(1)
        await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert len(venue.orders) == 2


async def test_the_venues_count_of_tokens_stops_us_before_it_does(
    tmp_path: Path, venue: Venue
) -> None:
    """Remaining 0 in a header: the next order waits for a token, and is not sent without."""

    async def last_token(request: web.Request) -> web.StreamResponse:
        answer = order_answer(hash_of(await request.read()))
        answer.headers["Poly-RateLimit-Remaining"] = "0"
        return answer

    venue.on_order = last_token
    rates = {"orders_per_second": 1, "orders_burst": 100, "cancels_per_second": 80}
    rates |= {"cancels_burst": 120, "cancels_reserve": 20, "post_order_per_10s": 5_000}
    rates |= {"cancel_order_per_10s": 9, "cancel_all_per_10s": 9}
    async with trading(tmp_path, venue, rates=rates | {"look_up_per_10s": 99}) as desk:
        await acked(desk, 1)
        assert await refused(desk, 2) == (Reason.VENUE_RATE, 0)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (text(403, "<html>blocked</html>", "text/html"), Reason.VENUE_BANNED),
        (text(400, error("'0x1' address banned")), Reason.VENUE_BANNED),
    ],
)
async def test_a_block_stops_all_new_orders_for_good(
    tmp_path: Path, venue: Venue, handler: Any, reason: Reason
) -> None:
    """One refusal, and nothing is sent any more; cancels are."""
    async with trading(tmp_path, venue) as desk:
        await acked(desk, 1)
        venue.on_order = handler
        assert (await refused(desk, 2))[0] is reason
        venue.on_order = venue.accept
        assert await refused(desk, 3, post_only=1) == (reason, 0)
        desk.cancel(1)
        await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert len(venue.orders) == 2


async def test_an_id_that_is_not_our_hash_stops_new_orders(tmp_path: Path, venue: Venue) -> None:
    """The venue took something we did not sign, or says so: UNKNOWN, and a latch."""
    async with trading(tmp_path, venue) as desk:
        venue.on_order = lambda _request: _accepted("0x" + "ab" * 32)
        desk.order(1)
        unknown = await desk.until(lambda: desk.report(Kind.UNKNOWN, 1), "UNKNOWN")
        assert unknown["reason"] == Reason.HALT_HASH_MISMATCH
        venue.on_order = venue.accept
        assert await refused(desk, 2) == (Reason.HALT_HASH_MISMATCH, 0)


async def _accepted(order_id: str) -> web.StreamResponse:
    return order_answer(order_id)


async def test_a_burst_goes_in_one_request_and_each_leg_has_its_end(
    tmp_path: Path, venue: Venue
) -> None:
    """Accepted, refused, and one nobody said anything of, which is looked up."""

    async def mixed(request: web.Request) -> web.StreamResponse:
        first, second, third = json.loads(await request.read())
        legs = [
            order_content(hash_of(json.dumps(first).encode())),
            order_content("", errorMsg="not enough balance / allowance"),
            order_content("", status=""),
        ]
        venue.third = hash_of(json.dumps(third).encode())  # type: ignore[attr-defined]
        assert second
        return web.json_response(legs)

    async def alive(request: web.Request) -> web.StreamResponse:
        content = {"id": request.match_info["id"], "status": "LIVE", "size_matched": "0"}
        return web.json_response(content)

    venue.on_batch, venue.on_look_up = mixed, alive
    async with trading(tmp_path, venue, order_batch_max=15) as desk:
        desk.burst(1, 2, 3)
        await desk.until(lambda: desk.report(Kind.ACK, 3), "the last ACK")
        assert desk.report(Kind.ACK, 1)
        reject = desk.report(Kind.REJECT, 2)
        assert reject is not None
        assert reject["reason"] == Reason.VENUE_BALANCE
        unknown = desk.report(Kind.UNKNOWN, 3)
        assert unknown is not None
        assert unknown["reason"] == Reason.UNREADABLE_ANSWER
        assert len(venue.batches) == 1
        assert venue.orders == []
        assert venue.look_ups == [venue.third]  # type: ignore[attr-defined]
        desk.order(4)
        await desk.until(lambda: desk.report(Kind.ACK, 4), "ACK")
        assert len(venue.orders) == 1, "a single order goes alone"


async def test_a_long_burst_is_cut_to_what_the_venue_takes(tmp_path: Path, venue: Venue) -> None:
    """Forty orders at most fifteen a request; every one is logged, sent once and acknowledged."""
    async with trading(tmp_path, venue, order_batch_max=15) as desk:
        desk.burst(*range(1, 41))
        await desk.until(lambda: desk.kinds().count("ACK") == 40, "40 ACKs")
        sizes = [len(json.loads(batch)) for batch in venue.batches]
        assert max(sizes) <= 15
        assert sum(sizes) + len(venue.orders) == 40


async def test_a_gap_in_the_heartbeats_makes_every_live_order_unknown(
    tmp_path: Path, venue: Venue
) -> None:
    """Unheard for longer than the venue waits: looked up, admission closed, then open again."""

    async def cancelled(request: web.Request) -> web.StreamResponse:
        content = {"id": request.match_info["id"], "status": "CANCELED", "size_matched": "0"}
        return web.json_response(content)

    venue.on_look_up = cancelled
    beats = {"heartbeat_ms": 100, "heartbeat_gap_ms": 600}
    async with trading(tmp_path, venue, daily_notional_usd_max="0", **beats) as desk:
        await desk.until(lambda: len(venue.heartbeats) > 2, "heartbeats")
        assert venue.heartbeats[:3] == ["", "id-1", "id-2"]
        await acked(desk, 1)
        venue.on_heartbeat = text(503, "")
        unknown = await desk.until(lambda: desk.report(Kind.UNKNOWN, 1), "UNKNOWN")
        assert unknown["reason"] == Reason.HEARTBEAT_GAP
        done = await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert (done["reason"], done["matched"]) == (Reason.CANCELED, 0)
        assert await refused(desk, 2) == (Reason.HEARTBEAT_GAP, 0)
        venue.on_heartbeat = venue.hear
        heard = len(venue.heartbeats)
        await desk.until(lambda: len(venue.heartbeats) > heard + 1, "the heart")
        await acked(desk, 3)
        assert len(venue.orders) == 2, "what the venue cancelled is not sent again"


async def test_the_days_limit_survives_a_restart(tmp_path: Path, venue: Venue) -> None:
    """What was signed before a kill still counts; what was refused does not."""
    async with trading(tmp_path, venue, daily_notional_usd_max="10") as desk:
        await acked(desk, 1)
        venue.on_order = text(400, error("invalid expiration"))
        assert (await refused(desk, 2))[0] is Reason.VENUE_EXPIRATION
        venue.on_order = venue.accept
        await desk.stop(9)
        desk.reports.clear()
        desk.launch()
        await desk.ready()
        desk.announce()
        await acked(desk, 3)
        assert await refused(desk, 4) == (Reason.POLICY_NOTIONAL, 0)
        assert len(venue.orders) == 3
