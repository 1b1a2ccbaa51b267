"""Reads the account back by REST: what the user stream may have missed, and nothing told twice.

The stream has no replay, so after every (re)connection, after a message that could not be read and
every other second anyway, open orders, trades and balances are read; whatever is news goes the same
way as the stream's records, flagged SNAPSHOT. An order that has left the list of open ones is
looked up by itself: absence from a list is no evidence of anything.
```
orders ── trades ── look-ups ── tell ── tokens of no market here? ask Gamma ── balances ── complete?
```
A read-back is complete when all there was to tell has been told; then `read_back_ns` is when it
began, and the core is told so. It is not while a record, a page or a balance could not be read, or
while a token of the account belongs to no market that is known: it is listed first, and what
happened to it is told by the next read-back, when the core has heard of the instrument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from engine.host.secrets import Account
from feeds.account_rest import AccountRest
from feeds.balances import Balances
from feeds.instruments import Instruments
from feeds.outbox import Outbox
from feeds.port import Context, FeedError, MalformedFrame, Unreachable
from feeds.user_frames import News, UserDecoder

EAGER_S = 0.2  # while the core waits for it, before it opens anything
READ_BACK_S = 2.0  # a fill the stream lost is to be known within 5 s
DEADLINE_S = 5.0  # for one read-back, however slowly the venue answers
FIRST_DEADLINE_S = 120.0  # while none was complete: all there ever was is read
OVERLAP_S = 300  # trades this much older than the last known ones are read again
PAUSE_S = 0.1  # between two read-backs, whatever asks for them
LOOKUPS_MAX = 20

Tell = Callable[[News], None]
Adopt = Callable[[set[str]], Awaitable[set[str]]]


class PrivateReader:
    """Asks for orders, trades and balances. `ask()` makes it do so at once."""

    def __init__(
        self,
        context: Context,
        instruments: Instruments,
        account: Account,
        decoder: UserDecoder,
        outbox: Outbox,
        *,
        tell: Tell,
        adopt: Adopt,
        completed: Callable[[], None],
        core_waits: Callable[[], bool],
    ) -> None:
        """tell: takes what was news.  adopt: lists the markets of some tokens and returns those at
        which nothing is at risk.  completed: called after each complete read-back.  core_waits:
        whether the core does not know yet what earlier runs have left."""
        self._context = context
        self._instruments = instruments
        self._account = account
        self._decoder = decoder
        self._outbox = outbox
        self._tell = tell
        self._adopt = adopt
        self._completed = completed
        self._core_waits = core_waits
        self._balances = Balances(context, instruments, account, outbox)
        self._settled: set[str] = set()
        self._after_s = 0  # moves on with complete read-backs alone
        self._looked_up = 0
        self.read_back_ns = 0
        self._wake = asyncio.Event()
        self._rest: AccountRest | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read; the loop is running."""
        self._rest = AccountRest(self._context, self._account)
        self._task = asyncio.get_running_loop().create_task(
            self._run(self._rest), name="clob_private"
        )

    def ask(self) -> None:
        """Read back soon."""
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

    async def _run(self, rest: AccountRest) -> None:
        while True:
            if not self._outbox.is_congested:
                await self._try(rest)
            await asyncio.sleep(PAUSE_S)
            try:
                async with asyncio.timeout(EAGER_S if self._core_waits() else READ_BACK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    async def _try(self, rest: AccountRest) -> None:
        """Read back once, within its deadline; what goes wrong makes it an incomplete one."""
        began_ns = self._context.clock.now_ns()
        deadline_s = DEADLINE_S if self.read_back_ns else FIRST_DEADLINE_S
        try:
            async with asyncio.timeout(deadline_s):
                is_complete = await self._read_back(rest, began_ns)
        except TimeoutError:
            self._failed(Unreachable(f"read-back took too long: seconds={deadline_s:.0f}"))
            return
        except (Unreachable, MalformedFrame) as error:
            self._failed(error)
            return
        if not is_complete:
            self._context.count("readbacks_incomplete")
            return
        self._context.count("readbacks")
        self._after_s = self._decoder.read_from_s(OVERLAP_S)
        self.read_back_ns = began_ns
        self._completed()

    def _failed(self, error: FeedError) -> None:
        self._context.count("readback_errors")
        self._context.errors.record("clob_private", error)

    async def _read_back(self, rest: AccountRest, began_ns: int) -> bool:
        """Tell all there is to tell; return whether that was everything."""
        index_max = len(self._instruments)
        live = self._decoder.live_orders()
        orders = await rest.pages("/data/orders", {})
        since = {"after": str(self._after_s)} if self._after_s else {}
        trades = await rest.pages("/data/trades", since)
        orders += await self._look_up(rest, live, orders)
        news = self._decoder.read_back(
            orders,
            trades,
            self._context.clock.now_ns(),
            asked_ns=began_ns,
            index_max=index_max,
            settled=self._settled,
        )
        self._tell(news)
        strangers = news.foreign_tokens - self._settled
        self._settled |= await self._adopt(strangers)
        are_balances_told = await self._balances.read(rest, news.traded, index_max)
        is_all_told = not (news.unreadable or news.partless or strangers - self._settled)
        return is_all_told and are_balances_told and not self._outbox.is_congested

    async def _look_up(self, rest: AccountRest, live: list[bytes], orders: list[Any]) -> list[Any]:
        """Return what is said of orders that are live by what was told, and not in the list."""
        listed = {str(order.get("id", "")).lower() for order in orders if isinstance(order, dict)}
        gone = [f"0x{order.hex()}" for order in live if f"0x{order.hex()}" not in listed]
        first = self._looked_up % len(gone) if len(gone) > LOOKUPS_MAX else 0
        self._looked_up += LOOKUPS_MAX  # in turns: one that is never found keeps no other waiting
        asked = (gone[first:] + gone[:first])[:LOOKUPS_MAX]
        answers = [await rest.get(f"/data/order/{order_id}", {}) for order_id in asked]
        return [each for each in answers if isinstance(each, dict) and "id" in each]
