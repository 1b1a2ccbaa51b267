"""The floor: the same sockets and the same loop, and nothing in between.

`python -m engine.bench.floor RUNTIME_DIR REST_URL WS_URL` answers every tick with a request made in
advance: no parse, no book, no decision, no signature, no ring and no log. What is left is the price
of the sockets and of the loop, which no engine can go below.
"""

from __future__ import annotations

import argparse
import sys

from engine.bench import market
from engine.host.duty import create_counters
from engine.host.idle import Idle
from engine.host.log import ErrorLog, Log
from engine.host.runfile import RunFile
from engine.host.runner import run_duties
from engine.wire.codes import Connection as State
from engine.wire.codes import Side, Tif
from feeds.clob_market import COUNTERS
from feeds.connection import Connection, Pace
from feeds.port import Context
from signer.auth import ApiCredentials, L2Signer
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.http import Answer, Endpoint, Pool
from signer.request_writer import RequestWriter
from signer.templates import OrderTemplate
from signer.wallets import Wallet

PROCESS = "floor"
ASK, MICROS = 510_000, 1_000_000
TIMEOUT_NS = 1_000_000_000


class FloorDuty:
    """A market socket whose frames each send the next prepared request."""

    name = PROCESS

    def __init__(self, context: Context, requests: list[bytes], pool: Pool, ws_url: str) -> None:
        self._pool = pool
        self._requests = requests
        self._next = 0
        self._context = context
        self._connection = Connection(self.name, ws_url, Pace.of(context.settings), self, context)

    def start(self) -> None:
        """Connect both sides."""
        self._pool.start()
        self._connection.start()

    def work(self) -> int:
        """Expire what was not answered; return how much."""
        self._connection.check()
        return self._pool.work(self._context.clock.now_ns())

    def close(self) -> None:
        """Let go of both sides."""
        self._connection.close()
        self._pool.close()

    def opening(self) -> list[bytes]:
        """Return the subscription."""
        return [b'{"type":"market"}']

    def frame(self, payload: bytes | memoryview, _local_ns: int) -> bool:
        """Hot path. Send the request of this tick; the dump of the books is none."""
        if payload[0] == ord("["):
            return True
        self._pool.send(self._requests[self._next], _ignore)
        self._next = (self._next + 1) % market.TICKS
        return True

    def caught_up(self) -> None:
        """Nobody waits for the last of several frames."""

    def status(self, connection: State) -> None:
        """Nobody wants to know."""

    def expects_data(self) -> bool:
        """Return False: between rounds there is silence."""
        return False


def _ignore(_answer: Answer) -> None:
    """Take an answer nobody waits for."""


def prepared(endpoint: Endpoint) -> list[bytes]:
    """Return the request of every tick, as the signer would send it."""
    account = market.throwaway_account()
    wallet = Wallet.of(SigningKey.from_hex(account.private_key or ""), 0, account.funder)
    domain = exchange_domain(2, 137, False)
    template = OrderTemplate(wallet, domain, int(market.DOWN), Side.BUY, account.api.key)
    api = account.api
    l2 = L2Signer(ApiCredentials(api.key, api.secret, api.passphrase), account.address)
    writer = RequestWriter(endpoint, l2)
    requests = []
    for tick in range(market.TICKS):
        shares = market.size_of(tick)
        signed = template.sign(
            tick, shares * ASK, shares * MICROS, market.BASE_MS + tick, 0, Tif.FOK, 0
        )
        requests.append(writer.order(signed.body, market.BASE_MS // 1000))
    return requests


def main() -> int:
    """Run the floor until it is told to stop; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.bench.floor", description=__doc__)
    parser.add_argument("runtime_dir")
    parser.add_argument("rest_url")
    parser.add_argument("ws_url")
    chosen = parser.parse_args()
    runtime = RunFile.load(chosen.runtime_dir)
    clock = runtime.clock()
    counters = create_counters(runtime.counters(PROCESS), COUNTERS)
    (settings,) = runtime.settings["feeds"].values()
    context = Context(
        clock=clock,
        counters=counters,
        log=Log(runtime.log(f"{PROCESS}.socket"), PROCESS, clock),
        errors=ErrorLog(runtime.log(f"{PROCESS}.socket").with_suffix(".errors.json"), clock),
        settings=settings,
        venue=runtime.settings["venue"],
        markets=runtime.settings["markets"],
    )
    endpoint = Endpoint.of(chosen.rest_url)
    connections = runtime.settings["signer"]["connections"]
    pool = Pool(endpoint, connections, clock.now_ns, timeout_ns=TIMEOUT_NS, wait_ns_max=TIMEOUT_NS)
    duty = FloorDuty(context, prepared(endpoint), pool, chosen.ws_url)
    return run_duties(
        PROCESS, runtime, [duty], counters=counters, idle=Idle.for_profile("fused"), uses_loop=True
    )


if __name__ == "__main__":
    sys.exit(main())
