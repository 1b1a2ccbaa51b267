"""The private feed's word on the account: that it is read at all, its money and its tokens."""

from __future__ import annotations

import numpy as np

from engine.core.recovery import Recovery
from engine.core.world.world import World


class Account:
    """Applies what is told of the account as a whole."""

    __slots__ = ("_recovery", "_world")

    def __init__(self, world: World, recovery: Recovery) -> None:
        self._world = world
        self._recovery = recovery

    def on_private_feed(self, record: np.void, *, is_connected: bool) -> bool:
        """Take a FEED_STATUS of the private feed; return whether more may be opened than before."""
        world, read_back_ns = self._world, int(record["read_back_ns"])
        saw_fills = world.sees_fills
        world.on_private_feed(int(record["local_ns"]), read_back_ns, is_connected=is_connected)
        is_recovered = not world.is_recovered and self._recovery.is_complete(read_back_ns)
        if is_recovered:
            world.recover()
        return is_recovered or (world.sees_fills and not saw_fills)

    def on_balance(self, record: np.void) -> ValueError | None:
        """Take a BALANCE, of pUSD or of a token; return what a human should hear of it, or None."""
        world = self._world
        index, balance = int(record["instrument"]), int(record["balance"])
        if index == 0:
            world.cash.on_balance(balance, is_recovered=world.is_recovered)
            return None
        market = world.instruments.market_of(index)
        if index >= world.books.capacity or (market is not None and market.payout_up >= 0):
            return None
        if not world.holdings.on_balance(index, balance, is_recovered=world.is_recovered):
            return None
        said = "contradicts" if world.holdings.is_disputed(index) else "agrees again with"
        held = world.lots.size(index)
        return ValueError(
            f"balance {said} the books: instrument={index}, balance={balance}, books={held}"
        )
