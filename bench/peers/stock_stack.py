"""`python bench/peers/stock_stack.py`: the stack a bot is usually made of, beside the engine.

websockets + json + a dict a side + py-clob-client-v2 (with coincurve) and its httpx, on asyncio:
frame in, signed order out, at the venue of `halftick bench tick-to-trade` and by its schedule. Runs
of the two take turns; the engine's come from that command. The stock stack is given a rate that it
can follow: above some 100 ticks a second it only queues.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

from peers.field import Row, publish
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import ApiCreds, CreateOrderOptions, OrderArgsV2, OrderType
from py_clob_client_v2.exceptions import PolyApiException
from websockets.asyncio.client import connect

from engine.backoffice.hdr import P50, P99, percentile
from engine.bench import market
from engine.bench.result import Played
from engine.host import pin, proc

NAME = "stock"
EDGE = 1.05
SUBSCRIBED, WARM_UP, CLOSING = "subscribed", 20, 20
ROUND_S_MAX = 60.0
COLUMNS = (("p50_us", P50), ("p99_us", P99))


class Bot:
    """Buys while both best asks together cost less than EDGE, which here is at each tick.

    The engine of the bench answers each tick too; the size says which tick it was.
    """

    def __init__(self, rest_url: str) -> None:
        account = market.throwaway_account()
        api = ApiCreds(account.api.key, account.api.secret, account.api.passphrase)
        self._client = ClobClient(f"{rest_url}/{NAME}", 137, account.private_key, api)
        self._options = CreateOrderOptions(tick_size=market.TICK_SIZE, neg_risk=False)
        self._asks: dict[str, dict[float, float]] = {}
        self._bids: dict[str, dict[float, float]] = {}

    def on_message(self, text: str | bytes) -> None:
        """Take a frame; order if it is a tick."""
        message = json.loads(text)
        if isinstance(message, list):
            for book in message:
                token = book["asset_id"]
                self._bids[token] = {float(x["price"]): float(x["size"]) for x in book["bids"]}
                self._asks[token] = {float(x["price"]): float(x["size"]) for x in book["asks"]}
            return
        for change in message["price_changes"]:
            sides = self._bids if change["side"] == "BUY" else self._asks
            side, size = sides[change["asset_id"]], float(change["size"])
            if size:
                side[float(change["price"])] = size
            else:
                side.pop(float(change["price"]), None)
        if min(self._asks[market.UP]) + min(self._asks[market.DOWN]) < EDGE:
            self._order((int(message["timestamp"]) - market.BASE_MS) % market.TICKS)

    def _order(self, tick: int) -> None:
        arguments = OrderArgsV2(market.DOWN, 0.51, market.size_of(tick), "BUY")
        signed = self._client.builder.build_order(arguments, self._options)
        with contextlib.suppress(PolyApiException):  # killed, as every order here
            self._client.post_order(signed, OrderType.FOK)


async def trade(rest_url: str, ws_url: str) -> None:
    """Trade until the venue goes away."""
    bot = Bot(rest_url)
    async with connect(f"{ws_url}/{NAME}/ws/market") as socket:
        await socket.send('{"type":"market"}')
        bot.on_message(await socket.recv())
        print(SUBSCRIBED, flush=True)
        async for message in socket:
            bot.on_message(message)


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended at the end."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return what a process says when it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"a process did not start: {process.args}")
    return line


def stock_round(ticks: int, rate: int) -> Played:
    """Play one round to a fresh stock stack."""
    with running("-m", "engine.bench.venue") as venue:
        urls = json.loads(first_line(venue))
        os.sched_setaffinity(venue.pid, {pin.cores()[0]})
        with running(__file__, "--serve", urls["rest"], urls["ws"]) as bot:
            os.sched_setaffinity(bot.pid, {pin.cores()[-1]})
            first_line(bot)
            every = WARM_UP + ticks + CLOSING
            url = f"{urls['rest']}/round?client={NAME}&ticks={every}&rate={rate}"
            request = urllib.request.Request(url, method="POST")
            with urllib.request.urlopen(request, timeout=ROUND_S_MAX + every / rate) as answer:
                content = json.load(answer)
    return Played.of(NAME, content, slice(WARM_UP, WARM_UP + ticks), 0)


def engine_round(ticks: int, rate: int, profile: str) -> dict[str, float]:
    """Return what the engine's bench says of as many ticks."""
    command = ("bench", "tick-to-trade", "--profile", profile, "--rounds", "1", "--json")
    numbers = ("--ticks", str(ticks), "--rate", str(rate))
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", *command, *numbers],
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Play the rounds and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=600, help="of a round")
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", default="fused")
    parser.add_argument("--serve", nargs=2, metavar="URL", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        proc.die_with_parent(os.getppid())
        logging.disable(logging.CRITICAL)
        asyncio.run(trade(*chosen.serve))
        return
    stock, engine = [], []
    for _ in range(chosen.rounds):
        stock.append(stock_round(chosen.ticks, chosen.rate).latency_ns())
        engine.append(engine_round(chosen.ticks, chosen.rate, chosen.profile))
    rows = {
        f"**halftick, {chosen.profile}**": medians([_row(e) for e in engine]),
        "floor": medians([_row(e, "floor_") for e in engine]),
        "stock stack": medians([{n: percentile(s, p) / 1e3 for n, p in COLUMNS} for s in stock]),
    }
    publish(f"tick to trade at {chosen.rate} a second", rows, [name for name, _ in COLUMNS])


def medians(rounds: list[dict[str, float]]) -> Row:
    """Return the median round of each column."""
    return {name: statistics.median(each[name] for each in rounds) for name, _ in COLUMNS}


def _row(result: dict[str, float], prefix: str = "") -> dict[str, float]:
    return {name: result[prefix + name] for name, _ in COLUMNS}


if __name__ == "__main__":
    main()
