"""A scenario at work on the served exchange: what clients see, and what really happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ServerDisconnectedError, WSMsgType
from deadlines import PATIENCE_S
from exchange_support import Served, served

from engine.exchange.rules import VenueRules
from engine.exchange.scenario import Fault, FaultKind, Scenario
from engine.wire.codes import Side, Tif

DEADLINE_S = PATIENCE_S


@asynccontextmanager
async def faulty(kind: FaultKind, truth: Path, **changes: Any) -> AsyncIterator[Served]:
    """Serve a venue on display whose scenario has one fault."""
    scenario = Scenario(0, None, (Fault(1, kind, **changes),))
    rules = VenueRules(taker_delay_ms=0)
    async with served(rules, truth=truth, scenario=scenario) as venue:
        venue.hand.show()
        yield venue


def rows(truth: Path, kind: str) -> list[dict[str, Any]]:
    """Return the ledger's rows of one type."""
    return [row for row in map(json.loads, truth.read_text().splitlines()) if row["type"] == kind]


async def test_a_lost_reply_leaves_a_live_order(tmp_path: Path):
    """A1: the connection closes without an answer, and the order is there, once."""
    truth = tmp_path / "truth"
    async with faulty(FaultKind.LOST_REPLY, truth, route="POST /order", times=1) as venue:
        with pytest.raises(ServerDisconnectedError):
            await venue.post(Side.BUY, "0.45", "10")
        (order_id,) = venue.hand.venue.desk.open
        status, order = await venue.call("GET", f"/data/order/{order_id}")
        assert (status, order["status"]) == (200, "LIVE")
        venue.hand.venue.truth.flush()
    (fault,) = rows(truth, "fault")
    assert (fault["fault"], fault["where"]) == ("lost_reply", "POST /order")
    assert len(rows(truth, "order")) == 1


async def test_a_lost_request_leaves_nothing(tmp_path: Path):
    """A2: the same for the client, and there is no order."""
    truth = tmp_path / "truth"
    async with faulty(FaultKind.LOST_REQUEST, truth, route="POST /order", times=1) as venue:
        with pytest.raises(ServerDisconnectedError):
            await venue.post(Side.BUY, "0.45", "10")
        assert not venue.hand.venue.desk.orders
        assert (await venue.post(Side.BUY, "0.45", "10"))[0] == 200


@pytest.mark.parametrize(
    ("kind", "orders"), [(FaultKind.ERROR_BEFORE, 0), (FaultKind.ERROR_AFTER, 1)]
)
async def test_an_error_says_nothing_of_the_order(tmp_path: Path, kind: FaultKind, orders: int):
    """A4: 500 before or after the order was taken looks the same."""
    text = "could not insert order"
    async with faulty(kind, tmp_path / "truth", route="POST /order", text=text) as venue:
        status, answer, _ = await venue.post(Side.BUY, "0.45", "10")
        assert (status, answer) == (500, {"error": text})
        assert len(venue.hand.venue.desk.open) == orders


async def test_a_late_reply_is_late(tmp_path: Path):
    """A3, B2: the user stream tells of the fill before the answer to the order comes."""
    truth = tmp_path / "truth"
    async with faulty(FaultKind.LATE_REPLY, truth, route="POST /order", delay_ms=300) as venue:
        socket = await venue.user_socket()
        await socket.send_str("PING")
        assert (await socket.receive(DEADLINE_S)).data == "PONG"
        posting = asyncio.create_task(venue.post(Side.BUY, "0.50", "10"))
        event = await socket.receive_json(timeout=DEADLINE_S)
        assert event["event_type"] == "trade"
        assert not posting.done()
        assert (await posting)[0] == 200


async def test_an_answer_with_another_id(tmp_path: Path):
    """A9: the id is not the order's hash, and the order is live under its hash."""
    async with faulty(FaultKind.WRONG_ID, tmp_path / "truth", route="POST /order") as venue:
        _, answer, order_id = await venue.post(Side.BUY, "0.45", "10")
        assert answer["orderID"] != order_id
        assert list(venue.hand.venue.desk.open) == [order_id]


async def test_a_batch_with_mixed_legs(tmp_path: Path):
    """A8: one leg is refused, its neighbour is live."""
    text = "Rate limit exceeded for tokenId"
    async with faulty(FaultKind.REFUSE, tmp_path / "truth", text=text, times=1) as venue:
        bodies = [venue.order(Side.BUY, "0.45", "10")[0] for _ in range(2)]
        _, legs = await venue.call("POST", "/orders", b"[" + b",".join(bodies) + b"]")
        assert [leg["errorMsg"] for leg in legs] == [text, ""]
        assert len(venue.hand.venue.desk.open) == 1


async def test_a_restart_is_425_then_post_only_then_normal(tmp_path: Path):
    """A6: by the venue's clock."""
    truth = tmp_path / "truth"
    async with faulty(FaultKind.RESTART, truth, down_s=90.0, post_only_s=120.0) as venue:
        venue.hand.wait(1)
        assert (await venue.post(Side.BUY, "0.45", "10"))[0] == 425
        venue.hand.wait(91_000)
        status, answer, _ = await venue.post(Side.BUY, "0.45", "10")
        assert (status, answer["code"]) == (503, "post_only_mode")
        assert (await venue.post(Side.BUY, "0.45", "10", post_only=True))[0] == 200
        venue.hand.wait(120_000)
        assert (await venue.post(Side.BUY, "0.45", "10"))[0] == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.CANCEL_ONLY, 503),
        (FaultKind.DISABLED, 503),
        (FaultKind.GEOBLOCKED, 403),
        (FaultKind.CLOSED_ONLY, 400),
    ],
)
async def test_a_mode_lasts_for_its_time(tmp_path: Path, kind: FaultKind, status: int):
    """A7, A14: refused while it lasts, accepted after it."""
    async with faulty(kind, tmp_path / "truth", for_s=30.0) as venue:
        venue.hand.wait(1)
        assert (await venue.post(Side.BUY, "0.45", "10"))[0] == status
        venue.hand.wait(31_000)
        assert (await venue.post(Side.BUY, "0.45", "10"))[0] == 200


async def test_a_page_instead_of_json(tmp_path: Path):
    """A5: 429 with HTML, for as many requests as asked."""
    truth = tmp_path / "truth"
    async with faulty(FaultKind.ERROR_BEFORE, truth, status=429, page=True, times=1) as venue:
        async with venue.session.get(venue.url + "/time") as response:
            assert (response.status, response.content_type) == (429, "text/html")
        async with venue.session.get(venue.url + "/time") as response:
            assert response.status == 200


async def test_a_ghost_book(tmp_path: Path):
    """The REST book is 0.01 and 0.99, the stream's is the real one."""
    async with faulty(FaultKind.GHOST_BOOK, tmp_path / "truth", route="GET /book") as venue:
        token = venue.hand.listing.market.tokens[0]
        _, book = await venue.call("GET", f"/book?token_id={token}")
        assert [book["bids"][-1]["price"], book["asks"][-1]["price"]] == ["0.01", "0.99"]
        socket = await venue.market_socket()
        (up, _) = await socket.receive_json(timeout=DEADLINE_S)
        assert up["bids"][-1]["price"] == "0.48"


@pytest.mark.parametrize("kind", [FaultKind.SLOW_BYTES, FaultKind.RESET])
async def test_a_trickle_and_a_torn_answer(tmp_path: Path, kind: FaultKind):
    """D2, D3: the bytes come one by one and are right, or stop in the middle."""
    async with faulty(kind, tmp_path / "truth", route="GET /version", delay_ms=1) as venue:
        if kind is FaultKind.SLOW_BYTES:
            assert await venue.call("GET", "/version") == (200, {"version": 2})
        else:
            with pytest.raises(ClientError):
                await venue.call("GET", "/version")


async def test_a_mute_stream_still_answers_pings(tmp_path: Path):
    """C1: no dump, no change; the pong comes as if nothing were wrong."""
    async with faulty(FaultKind.MUTE, tmp_path / "truth") as venue:
        socket = await venue.market_socket()
        venue.hand.show(asks=(("0.52", "10"),))
        await socket.send_str("PING")
        assert (await socket.receive(DEADLINE_S)).data == "PONG"


async def test_a_stream_that_hangs_up(tmp_path: Path):
    """D7: each new connection is reset with its first frame."""
    async with faulty(FaultKind.HANG_UP, tmp_path / "truth") as venue:
        for _ in range(2):
            socket = await venue.market_socket()
            assert (await socket.receive(DEADLINE_S)).type is not WSMsgType.TEXT


async def test_a_grid_that_changes_under_an_order(tmp_path: Path):
    """A11: an order on the old grid is refused in the venue's words."""
    truth = tmp_path / "truth"
    async with faulty(FaultKind.TICK, truth, from_s=1.0, tick=100_000) as venue:
        venue.hand.wait(1_001)
        text, _ = venue.order(Side.BUY, "0.40", "10")
        assert (await venue.call("POST", "/order", text))[0] == 200
        venue.hand.listing.tick = 10_000
        text, _ = venue.order(Side.BUY, "0.45", "10")
        venue.hand.listing.tick = 100_000
        status, answer = await venue.call("POST", "/order", text)
        assert status == 400
        assert "breaks minimum tick size rule" in answer["error"]


async def test_a_foreign_order_of_our_account(tmp_path: Path):
    """B8: an order we never sent is open under our account, and its fill is ours."""
    truth = tmp_path / "truth"
    async with faulty(
        FaultKind.FOREIGN_ORDER, truth, from_s=1.0, price=500_000, outcome=0
    ) as venue:
        venue.hand.wait(1_001)
        _, trades = await venue.call("GET", "/data/trades")
        assert [trade["size"] for trade in trades["data"]] == ["5"]
        venue.hand.venue.truth.flush()
    (order,) = rows(truth, "order")
    assert order["owner"] == "foreign"


async def test_a_market_that_closes_before_its_time(tmp_path: Path):
    """C8: open orders end, new ones find no market."""
    async with faulty(FaultKind.CLOSE, tmp_path / "truth", from_s=1.0) as venue:
        _, _, order_id = await venue.post(Side.BUY, "0.45", "10")
        venue.hand.wait(1_001)
        order = venue.hand.venue.desk.orders[order_id]
        assert order.status == "CANCELED_MARKET_RESOLVED"
        status, answer, _ = await venue.post(Side.BUY, "0.45", "10", Tif.GTC)
        assert status == 400
        assert "does not exist" in answer["error"]
