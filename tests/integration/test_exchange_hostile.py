"""Answers that no venue should give, from a scenario to what clients see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from deadlines import PATIENCE_S
from exchange_support import Served, served

from engine.exchange.fates import Fates
from engine.exchange.rules import VenueRules
from engine.exchange.scenario_file import load_scenario
from engine.wire.codes import Side

POST_ORDER = (
    "kind = 'error_after'\nroute = 'POST /order'\nstatus = 200\nbody = '{\"success\":true}'"
)


@asynccontextmanager
async def hostile(folder: Path, text: str) -> AsyncIterator[Served]:
    """Serve a venue on display with the scenario of this text."""
    file = folder / "scenario.toml"
    file.write_text(text)
    rules = VenueRules(taker_delay_ms=0)
    scenario = load_scenario(file, Fates())
    async with served(rules, scenario=scenario) as venue:
        venue.hand.show()
        yield venue


async def frames(venue: Served, count: int) -> list[dict[str, Any]]:
    """Return the first frames of a purchase on the user stream."""
    socket = await venue.user_socket()
    await socket.send_str("PING")
    assert (await socket.receive(PATIENCE_S)).data == "PONG"
    await venue.post(Side.BUY, "0.50", "10")
    return [await socket.receive_json(timeout=PATIENCE_S) for _ in range(count)]


async def test_an_accepted_order_is_answered_without_its_id(tmp_path: Path):
    """The order lives, and the answer is any JSON the scenario says, with a status of 200."""
    async with hostile(tmp_path, f"[[fault]]\n{POST_ORDER}") as venue:
        status, answer, order_id = await venue.post(Side.BUY, "0.45", "10")
        assert (status, answer) == (200, {"success": True})
        assert order_id in venue.hand.venue.desk.open


async def test_a_request_is_sent_elsewhere(tmp_path: Path):
    """A redirect names the other address with the same path and query; nothing was handled."""
    text = (
        "[[fault]]\nkind = 'error_before'\nroute = 'GET /data/*'\nstatus = 307\n"
        "location = 'http://127.0.0.1:9'"
    )
    async with hostile(tmp_path, text) as venue:
        url = venue.url + "/data/orders?market=1"
        async with venue.session.get(url, allow_redirects=False) as answer:
            assert answer.status == 307
            assert answer.headers["Location"] == "http://127.0.0.1:9/data/orders?market=1"


async def test_one_row_of_a_list_is_no_record(tmp_path: Path):
    """The first of two orders is unreadable, the second is as ever."""
    text = "[[fault]]\nkind = 'bad_row'\nroute = 'GET /data/orders'"
    async with hostile(tmp_path, text) as venue:
        for price in ("0.44", "0.45"):
            await venue.post(Side.BUY, price, "10")
        _, page = await venue.call("GET", "/data/orders")
        bad, good = page["data"]
        assert bad == {"id": 7}
        assert good["status"] == "LIVE"


async def test_a_status_has_a_name_nobody_knows(tmp_path: Path):
    """What the user stream tells of a trade has the scenario's word for its status."""
    text = "[[fault]]\nkind = 'reword'\nstream = 'user'\ntext = 'SOMETHING_NEW'"
    async with hostile(tmp_path, text) as venue:
        (trade,) = await frames(venue, 1)
    assert trade["status"] == "SOMETHING_NEW"


async def test_a_trade_comes_again_with_another_size(tmp_path: Path):
    """The second telling of the same trade says half of it."""
    text = "[[fault]]\nkind = 'resize'\nstream = 'user'\ntimes = 1"
    async with hostile(tmp_path, text) as venue:
        first, second = await frames(venue, 2)
    assert first["id"] == second["id"]
    assert float(second["size"]) == float(first["size"]) / 2


async def test_a_scenario_that_waits_begins_when_told(tmp_path: Path):
    """Until the exchange's own control says so there is no fault; its times count from then."""
    text = f"waits = true\n[[fault]]\n{POST_ORDER}\nfor_s = 5"
    async with hostile(tmp_path, text) as venue:
        venue.hand.wait(60_000)
        assert (await venue.post(Side.BUY, "0.44", "10"))[1]["status"] == "live"
        async with venue.session.post(venue.url + "/_exchange/faults") as answer:
            assert answer.status == 200
        assert (await venue.post(Side.BUY, "0.45", "10"))[1] == json.loads('{"success":true}')
        venue.hand.wait(5_001)
        assert (await venue.post(Side.BUY, "0.43", "10"))[1]["status"] == "live"
