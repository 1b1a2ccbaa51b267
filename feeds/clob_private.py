"""Reads the account back by REST: what the user stream may have missed, and nothing told twice.

The stream has no replay, so after every (re)connection, after a message that could not be read, and
every few seconds anyway, open orders and trades are read and whatever is news goes the same way as
the stream's records, flagged SNAPSHOT. An order that has left the list of open ones is looked up by
itself: absence from a list is no evidence of anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.host.secrets import Account
from engine.wire.codes import Flag, Kind, Source
from engine.wire.records import new, words
from feeds.instruments import Instruments
from feeds.l2 import l2_headers
from feeds.outbox import Outbox
from feeds.port import Context, FeedError, MalformedFrame, Unreachable
from feeds.rest import Rest
from feeds.user_frames import News, UserDecoder

READ_BACK_S = 5.0
OVERLAP_S = 300  # trades this much older than the last known ones are read again
PAGES_MAX = 100
LOOKUPS_MAX = 20
LAST_CURSOR = "LTE="
INT64_MAX = (1 << 63) - 1

Tell = Callable[[News], None]


class PrivateReader:
    """Asks for orders, trades and balances. `ask()` makes it do so at once."""

    def __init__(
        self,
        context: Context,
        instruments: Instruments,
        account: Account,
        decoder: UserDecoder,
        outbox: Outbox,
        tell: Tell,
    ) -> None:
        """tell: takes what was news."""
        self._context = context
        self._instruments = instruments
        self._account = account
        self._decoder = decoder
        self._outbox = outbox
        self._tell = tell
        self._wants_balances = True
        self._balances: dict[int, tuple[int, int]] = {}
        self._wake = asyncio.Event()
        self._rest: Rest | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read; the loop is running."""
        self._rest = Rest(self._context.venue["rest_url"])
        self._task = asyncio.get_running_loop().create_task(self._run(), name="clob_private")

    def ask(self, *, with_balances: bool = False) -> None:
        """Read back soon. with_balances: also what the account holds."""
        self._wants_balances = self._wants_balances or with_balances
        self._wake.set()

    def check(self) -> None:
        """Raise what went wrong in the task: a programmer's error, never the venue's."""
        if self._task is not None and self._task.done():
            self._task.result()

    def close(self) -> None:
        """Stop reading."""
        if self._task is not None and self._rest is not None:
            self._task.cancel()
            self._task.get_loop().create_task(self._rest.close())

    async def _run(self) -> None:
        while True:
            if not self._outbox.is_congested:
                try:
                    await self._read_back()
                    self._context.count("readbacks")
                except (Unreachable, MalformedFrame) as error:
                    self._failed(error)
            try:
                async with asyncio.timeout(READ_BACK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    def _failed(self, error: FeedError) -> None:
        self._context.count("readback_errors")
        self._context.errors.record("clob_private", error)

    async def _read_back(self) -> None:
        live = self._decoder.live_orders()
        orders = await self._pages("/data/orders", {})
        after_s = self._decoder.read_from_s(OVERLAP_S)
        trades = await self._pages("/data/trades", {"after": str(after_s)} if after_s else {})
        listed = {str(order.get("id", "")).lower() for order in orders if isinstance(order, dict)}
        gone = [f"0x{order.hex()}" for order in live if f"0x{order.hex()}" not in listed]
        for order_id in gone[:LOOKUPS_MAX]:
            path = f"/data/order/{order_id}"
            found = await self._get(path, {})
            orders += [found] if isinstance(found, dict) and "id" in found else []
        now_ns = self._context.clock.now_ns()
        self._tell(self._decoder.read_back(orders, trades, now_ns))
        if self._wants_balances:
            self._wants_balances = False
            await self._read_balances({str(t.get("asset_id")) for t in trades})

    async def _read_balances(self, traded: set[str]) -> None:
        """Tell the collateral, and the shares of every token of ours the account has traded."""
        try:
            await self._read_balance(0, {"asset_type": "COLLATERAL"})
            for token_id in sorted(traded):
                instrument = self._instruments.find(token_id)
                if instrument is not None:
                    kind = "CONDITIONAL-V2" if instrument.market.generation == 3 else "CONDITIONAL"
                    parameters = {"asset_type": kind, "token_id": token_id}
                    await self._read_balance(instrument.index, parameters)
        except FeedError:
            self._wants_balances = True
            raise

    async def _read_balance(self, index: int, parameters: dict[str, str]) -> None:
        parameters["signature_type"] = str(self._account.signature_type)
        answer = await self._get("/balance-allowance", parameters)
        try:
            balance = min(int(answer["balance"]), INT64_MAX)
            allowances = [int(each) for each in (answer.get("allowances") or {}).values()]
            allowance = min(max(allowances, default=0), INT64_MAX)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MalformedFrame(f"balance refused: instrument={index}") from None
        if self._balances.get(index) != (balance, allowance):
            self._balances[index] = balance, allowance
            self._outbox.put(self._balance_row(index, balance, allowance))

    def _balance_row(self, index: int, balance: int, allowance: int) -> np.ndarray:
        record = new(Kind.BALANCE)
        record["source"] = Source.CLOB_PRIVATE
        record["flags"] = Flag.SNAPSHOT
        record["instrument"] = index
        record["local_ns"] = self._context.clock.now_ns()
        record["balance"], record["allowance"] = balance, allowance
        return words(record)

    async def _pages(self, path: str, parameters: dict[str, str]) -> list[Any]:
        """Return all objects of a paged answer, or of a plain list."""
        found: list[Any] = []
        for _ in range(PAGES_MAX):
            page = await self._get(path, parameters)
            if isinstance(page, list):
                return found + page
            if not isinstance(page, dict) or not isinstance(page.get("data"), list):
                raise MalformedFrame(f"page refused: path={path}, type={type(page).__name__}")
            found += page["data"]
            cursor = page.get("next_cursor")
            if not isinstance(cursor, str) or cursor in ("", LAST_CURSOR):
                return found
            parameters = {**parameters, "next_cursor": cursor}
        raise MalformedFrame(f"pages without end: path={path}, pages={PAGES_MAX}")

    async def _get(self, path: str, parameters: dict[str, str]) -> Any:
        assert self._rest is not None, "started"
        timestamp_s = self._context.clock.now_ns() // 1_000_000_000
        headers = l2_headers(self._account, "GET", path, timestamp_s)
        return await self._rest.get(path, parameters, headers)
