"""The exchange as a process in the modes that need no recording: agents and closed."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from test_exchange_process import COMMAND, exchange

DEADLINE_S = 60.0
AGENTS = ("--mode", "agents", "--window-minutes", "5", "--markets", "2", "--eoa-only")


async def until_done(ready: dict[str, Any], session: ClientSession) -> dict[str, Any]:
    """Return the status when everything has been played."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with session.get(ready["status"]) as response:
                status: dict[str, Any] = await response.json()
            assert (status["errors"], status["last_error"]) == (0, "")
            if status["done"]:
                return status
            await asyncio.sleep(0.05)


async def test_a_seed_is_a_truth_ledger(tmp_path: Path):
    """Two runs of one seed, at different speeds, write the same file, byte for byte."""
    for name, speed in (("one", "50000"), ("two", "2000")):
        arguments = (*AGENTS, "--seed", "7", "--speed", speed, "--truth", str(tmp_path / name))
        async with exchange(*arguments) as (ready, process), ClientSession() as session:
            status = await until_done(ready, session)
            assert (status["played"], status["total"]) == (2, 2)
            process.terminate()
            assert await process.wait() == 0
    first, second = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert first == second
    kinds = {json.loads(line)["type"] for line in first.splitlines()}
    assert {"fund", "start", "order", "fill", "cancel", "settle", "resolve", "payout"} <= kinds


async def test_a_day_can_be_watched():
    """Windows are in the directory with their books, and end there with their outcome."""
    arguments = (*AGENTS, "--seed", "3", "--speed", "50000")
    async with exchange(*arguments) as (ready, _), ClientSession() as session:
        await until_done(ready, session)
        async with session.get(ready["gamma"] + "/markets", params={"closed": "true"}) as response:
            markets = await response.json()
        assert len(markets) == 2
        for market in markets:
            assert sorted(json.loads(market["outcomePrices"])) == ["0", "1"]


async def test_closed_markets_are_of_every_kind():
    """A window and a market of each standing kind, all empty and accepting orders."""
    async with exchange("--mode", "closed", "--eoa-only") as (ready, _), ClientSession() as session:
        slugs = [market["slug"] for market in ready["markets"]]
        assert slugs[0].startswith("btc-updown-15m-")
        kinds = ("neg-risk", "generation-3", "seconds-delay")
        assert slugs[1:] == [f"standing-{kind}" for kind in kinds]
        for market in ready["markets"]:
            token = {"token_id": market["tokens"][0]}
            async with session.get(ready["rest"] + "/book", params=token) as response:
                book = await response.json()
            assert (book["bids"], book["asks"]) == ([], [])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[[fault]]\nkind = 'x'\n", "fault 1 has an unknown kind"), (None, "cannot be read")],
)
def test_a_bad_scenario_is_refused(tmp_path: Path, text: str | None, complaint: str):
    """One line that names file and fault, and exit code 78."""
    file = tmp_path / "scenario.toml"
    if text is not None:
        file.write_text(text)
    command = [*COMMAND, "--mode", "closed", "--scenario", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    assert result.returncode == 78
    (line,) = result.stderr.splitlines()
    assert complaint in line
    assert str(file) in line
