"""Ends that have to be seen: a cancel of everything, orders alive after their end, earlier runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from signer_harness import Desk, Venue, trading
from test_signer_process import error, hash_of, read_log, text

from engine.bus.crc32c import crc32c
from engine.wire.codes import Kind, Reason, Side, Tif
from engine.wire.records import typed
from signer.log_format import EntryKind

pytestmark = pytest.mark.slow


class Book(Venue):
    """A venue that knows which orders rest, and says so; its cancel of everything may lie."""

    def __init__(self) -> None:
        super().__init__()
        self.hash_of = hash_of
        self.status: dict[str, str] = {}
        self.on_order, self.on_cancel, self.on_look_up = self._take, self._drop, self._show

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.status[hash_of(await request.read())] = "LIVE"
        return await self.accept(request)

    async def _drop(self, request: web.Request) -> web.StreamResponse:
        order = json.loads(await request.read())["orderID"]
        if self.status.get(order) != "LIVE":
            why = "Order not found or already canceled"
            return web.json_response({"canceled": [], "not_canceled": {order: why}})
        self.status[order] = "CANCELED"
        return web.json_response({"canceled": [order], "not_canceled": {}})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        order = request.match_info["id"]
        if order not in self.status:
            return await self.not_found(request)
        content = {"id": order, "status": self.status[order], "size_matched": "2.5"}
        return web.json_response(content)


@pytest.fixture
def venue() -> Book:
    """A venue with a book."""
    return Book()


def recovered(desk: Desk) -> list[Any]:
    """All RECOVERED of a signer's life, and that nothing came before them."""
    kinds = [int(row[0]) & 0xFFFF for row in desk.reports]
    count = kinds.count(Kind.RECOVERED)
    assert kinds[:count] == [Kind.RECOVERED] * count
    return [typed(row, Kind.RECOVERED)[0] for row in desk.reports[:count]]


async def begin_again(desk: Desk, run_id: int | None = None) -> None:
    """Kill the signer and start another on the same log, of the same run or of another."""
    await desk.stop(9)
    desk.reports.clear()
    if run_id is not None:
        desk.orders.close()
        desk.exec.close()
        desk.runtime = replace(desk.runtime, run_id=run_id)
        desk.runtime.save()
        desk.open_rings()
    desk.launch()
    await desk.ready()


@pytest.mark.parametrize(
    "content",
    [{"canceled": [], "not_canceled": {}}, {"error": "try later"}, {"canceled": [5, None]}, {}],
    ids=["names nothing", "an error", "no hashes", "empty"],
)
async def test_a_cancel_of_everything_ends_only_what_it_names(
    tmp_path: Path, venue: Book, content: dict[str, Any]
) -> None:
    """Four orders rest and the answer is 200: each ends by evidence of its own, and is told."""

    async def say(request: web.Request) -> web.StreamResponse:
        if "canceled" not in content and venue.cancel_alls > 2:
            canceled = [order for order, status in venue.status.items() if status == "LIVE"]
            venue.status = dict.fromkeys(venue.status, "CANCELED")
            return web.json_response({"canceled": canceled, "not_canceled": {}})
        return web.json_response(content)

    venue.on_cancel_all = say
    async with trading(tmp_path, venue) as desk:
        for order_id in range(1, 5):
            desk.order(order_id, price=480_000 + 10_000 * order_id)
            await desk.until(lambda n=order_id: desk.report(Kind.ACK, n), "ACK")
        desk.cancel_all()
        for order_id in range(1, 5):
            await desk.until(lambda n=order_id: desk.report(Kind.DONE, n), "DONE")
        assert set(venue.status.values()) == {"CANCELED"}
        await desk.until(lambda: desk.count("orders_open") == 0, "nothing open")


async def test_an_order_alive_after_its_end_is_cancelled_until_it_has_ended(
    tmp_path: Path, venue: Book
) -> None:
    """Refused, then there: cancelled by hash, twice, and told DONE with what it had filled."""
    venue.on_order = text(400, error("invalid expiration"))
    refusals = iter([True])

    async def stubborn(request: web.Request) -> web.StreamResponse:
        if next(refusals, False):
            return web.json_response({"canceled": [], "not_canceled": {}})
        return await venue._drop(request)

    venue.on_cancel = stubborn
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.REJECT, 1), "REJECT")
        venue.status[hash_of(venue.orders[0])] = "LIVE"
        desk.cancel(1)
        desk.cancel(1, Reason.REVIVED)
        done = await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert (done["matched"], done["reason"]) == (2_500_000, Reason.CANCELED)
        assert len(venue.cancels) == 2
        assert len(venue.orders) == 1
        assert desk.kinds() == ["SIGNED", "REJECT", "DONE"]
        await desk.until(lambda: desk.count("orders_revived") == 1, "the counter")
        entries = [(p.entry.kind, p.entry.reason) for p in read_log(desk).entries]
        assert entries[-2:] == [
            (EntryKind.UNKNOWN, Reason.REVIVED),
            (EntryKind.DONE, Reason.CANCELED),
        ]
        errors = desk.runtime.log("signer").with_suffix(".errors.json")
        await desk.until(errors.exists, "the error log")
        assert hash_of(venue.orders[0]) in errors.read_text()


async def test_the_core_is_told_of_earlier_runs_before_anything_else(
    tmp_path: Path, venue: Book
) -> None:
    """Each order with its strategy's number of now; the last record says that it was all."""
    async with trading(tmp_path, venue) as desk:
        await desk.until(lambda: desk.report(Kind.RECOVERED), "RECOVERED")
        assert [(int(r["order_id"]), int(r["last"])) for r in recovered(desk)] == [(0, 1)]
        desk.order(1, strategy=2)
        desk.order(2, strategy=1)
        await desk.until(lambda: desk.report(Kind.ACK, 2), "ACK")
        entries = [p.entry for p in read_log(desk).entries if p.entry.kind == EntryKind.SIGNED]
        assert [e.strategy_key for e in entries] == [crc32c(b"second"), crc32c(b"first")]
        desk.cancel(2)
        await desk.until(lambda: desk.report(Kind.DONE, 2), "DONE")
        del desk.runtime.settings["strategy"]["first"]
        desk.runtime.save()
        await begin_again(desk)
        one, two, last = recovered(desk)
        assert bytes(one["order_hash"]) == entries[0].order_hash
        facts = [(int(r["order_id"]), int(r["strategy"]), int(r["is_open"])) for r in (one, two)]
        assert facts == [(1, 1, 1), (2, 0, 0)]
        assert (one["price"], one["size"]) == (480_000, 10_000_000)
        assert (one["side"], one["tif"], one["last"]) == (Side.BUY, Tif.GTC, 0)
        assert (last["order_id"], last["last"]) == (0, 1)


async def test_orders_of_an_earlier_run_end_by_evidence(tmp_path: Path, venue: Book) -> None:
    """One rests, one is unseen and rests, one was never taken: each has an end in the log."""
    venue.on_cancel_all = text(200, json.dumps({"canceled": [], "not_canceled": {}}))

    async def forget(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if len(venue.orders) == 2:
            venue.status[hash_of(body)] = "LIVE"
        return web.Response(status=500)

    async with trading(tmp_path, venue, request_timeout_ms=300) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        venue.on_order, venue.on_look_up = forget, text(500, "")
        for order_id in (2, 3):
            desk.order(order_id)
            await desk.until(lambda n=order_id: desk.report(Kind.UNKNOWN, n), "UNKNOWN")
        venue.on_look_up = venue._show
        await begin_again(desk, run_id=78)
        for order_id in (1, 2, 3):
            await desk.until(lambda n=order_id: desk.report(Kind.DONE, n), "DONE")
        assert set(venue.status.values()) == {"CANCELED"}
        assert len(venue.orders) == 3
        last = {p.entry.order_id: p.entry for p in read_log(desk).entries}
        assert {entry.kind for entry in last.values()} == {EntryKind.DONE}
        assert [last[n].matched for n in (1, 2, 3)] == [2_500_000, 2_500_000, -1]
