"""The exchange as a process: built from its options, served until told to stop."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import sys
from dataclasses import asdict, replace
from typing import Any

import orjson
from aiohttp import web

from engine.exchange.accounts import Account, Accounts, ApiKey, WalletKind
from engine.exchange.drivers import build_driver, new_pool
from engine.exchange.faults import Faults
from engine.exchange.market import Market
from engine.exchange.options import Options
from engine.exchange.scenario import Scenario
from engine.exchange.scenario_file import load_scenario
from engine.exchange.schedule import Schedule
from engine.exchange.series import series_id
from engine.exchange.server.app import build_app
from engine.exchange.server.streams import Streams
from engine.exchange.truth import TruthLedger
from engine.exchange.venue import Venue
from engine.host.errors import RefuseError

HOST = "127.0.0.1"
SHUTDOWN_S_MAX = 1.0
COLLECT_AFTER = (50_000, 20, 100)  # the collector's three thresholds


class Exchange:
    """A venue, what drives it and its servers."""

    def __init__(self, options: Options) -> None:
        """Load and build everything; RefuseError for a bad recording, ledger or ring."""
        self._options = options
        self._schedule = Schedule()
        self._accounts = Accounts(options.seed, options.hosting.chain_id)
        self._truth = TruthLedger(options.truth)
        self._streams = Streams(
            self._schedule, self._accounts, lambda token: self._venue.find(token)
        )
        scenario = Scenario()
        if options.scenario is not None:
            scenario = load_scenario(options.scenario, options.rules.fates)
        self._venue = Venue(
            replace(options.rules, fates=scenario.fates or options.rules.fates),
            self._schedule,
            self._accounts,
            self._truth,
            self._streams,
            options.seed,
            lambda: new_pool(options),
        )
        self._keys = self._open_accounts()
        self._driver = build_driver(options, self._venue, options.hosting.prices)
        addresses = [self._wallet(key, kind).address for key, kind in self._keys]
        self._faults = Faults(
            scenario, self._venue, options.hosting.mode, options.hosting.prices, addresses
        )
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._truth.write(
            "start",
            self._schedule.now_ms,
            mode=options.mode,
            markets=[listing.market.slug for listing in self._venue.listings.values()],
            accounts=addresses,
            balance=options.balance,
        )
        self._truth.flush()

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; RefuseError when the port is taken.

        A failure of our own, in a turn of the clock, ends the exchange: a venue that goes on with
        half a turn done would lie.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._fail)
        logging.getLogger("aiohttp").addHandler(logging.NullHandler())  # bad requests are not news
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._truth.on_first = lambda: loop.call_soon(self._truth.flush)
        app = build_app(
            self._venue,
            self._streams,
            self._options.hosting,
            lambda: asdict(self._driver.progress()),
            self._driver.start,
            self._faults if self._options.scenario is not None else None,
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S_MAX)
        await runner.setup()
        # What exists now stays; orders are kept for good. Looking at them again and again for
        # garbage costs more than all the garbage there is.
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        try:
            port = await self._listen(runner)
            if self._options.ready_json:
                sys.stdout.write(orjson.dumps(self.ready(port)).decode() + "\n")
            else:
                sys.stdout.write(f"exchange ready: http://{HOST}:{port}\n")
            sys.stdout.flush()
            if not self._options.hold:
                self._driver.start()
            await self._stop.wait()
        finally:
            self._driver.stop()
            await runner.cleanup()
            self._truth.close()
        if self._failure is not None:
            raise self._failure

    def ready(self, port: int) -> dict[str, Any]:
        """Return what a client must know: every URL, the accounts with their keys, the markets."""
        rest, ws = f"http://{HOST}:{port}", f"ws://{HOST}:{port}/ws"
        return {
            "rest": rest,
            "market_ws": f"{ws}/market",
            "user_ws": f"{ws}/user",
            "prices_ws": f"{ws}/prices",
            "rtds_ws": f"{ws}/rtds",
            "gamma": f"{rest}/gamma",
            "data_api": f"{rest}/data-api",
            "relayer": f"{rest}/relayer",
            "chain_rpc": f"{rest}/rpc",
            "status": f"{rest}/_exchange/status",
            "start": f"{rest}/_exchange/start",
            "mode": f"{rest}/_exchange/mode",
            "chain_id": self._options.hosting.chain_id,
            "accounts": [
                self._account_line(index, key, kind) for index, (key, kind) in enumerate(self._keys)
            ],
            "markets": [_market_line(x.market) for x in self._venue.listings.values()],
            "pid": os.getpid(),
        }

    def _account_line(self, index: int, key: ApiKey, kind: WalletKind) -> dict[str, Any]:
        return {
            "private_key": self._accounts.private_key(index),
            "address": key.account.address,
            "signature_type": int(kind),
            "funder": self._wallet(key, kind).address,
            "api": {"key": key.key, "secret": key.secret, "passphrase": key.passphrase},
            "relayer_key": self._accounts.relayer_key(key.account.owner),
        }

    def _open_accounts(self) -> list[tuple[ApiKey, WalletKind]]:
        """Fund as many plain addresses as asked for, then one of each other kind of wallet."""
        options = self._options
        kinds = [WalletKind.EOA] * options.accounts
        if options.wallets:
            kinds += [WalletKind.PROXY, WalletKind.SAFE, WalletKind.DEPOSIT]
        return [
            (self._accounts.fund(index, options.balance, kind), kind)
            for index, kind in enumerate(kinds)
        ]

    def _wallet(self, key: ApiKey, kind: WalletKind) -> Account:
        wallet = self._accounts.wallet(key.account.address, kind)
        assert wallet is not None, f"wallet was funded: kind={kind}"
        return wallet

    def _fail(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Stop for an exception nobody handled; a socket's troubles are its own."""
        error = context.get("exception")
        if error is not None and not isinstance(error, OSError):
            self._failure = error
            self._stop.set()

    async def _listen(self, runner: web.AppRunner) -> int:
        site = web.TCPSite(runner, HOST, self._options.port)
        try:
            await site.start()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise RefuseError(
                f"port cannot be used: host={HOST}, port={self._options.port}, "
                f"{os.strerror(error.errno)}"
            ) from None
        return int(runner.addresses[0][1])


def _market_line(market: Market) -> dict[str, Any]:
    return {
        "slug": market.slug,
        "condition_id": market.condition_id,
        "tokens": [str(token) for token in market.tokens],
        "series_id": series_id(market.series),
    }
