"""What the account holds, read again and again: collateral, and the shares that may matter.

Every reading is told, changed or not: the core compares it with its books and believes a
contradiction only when it has seen it twice. A BALANCE's local_ns is when its question left, so
whatever was known to have happened before is in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np

from engine.host.secrets import Account
from engine.wire.codes import Flag, Kind, Source
from engine.wire.records import new, words
from feeds.account_rest import AccountRest
from feeds.instruments import Instruments
from feeds.numbers import whole_number
from feeds.outbox import Outbox
from feeds.port import Context, MalformedFrame, Unreachable

# The venue takes 200 such questions in 10 s, and others ask them too.
HELD_MAX = 12  # tokens with a trade or a balance, a round
OTHERS_MAX = 2  # all others, a round
COLLATERAL = {"asset_type": "COLLATERAL"}
INT64_MAX = (1 << 63) - 1


class Balances:
    """The last reading of each token, and whose turn it is."""

    def __init__(
        self, context: Context, instruments: Instruments, account: Account, outbox: Outbox
    ) -> None:
        self._context = context
        self._instruments = instruments
        self._account = account
        self._outbox = outbox
        self._traded: set[int] = set()
        self._shares: dict[int, int] = {}  # by the last reading
        self._asked: dict[int, None] = {}  # the one not asked about for longest is first

    async def read(self, rest: AccountRest, traded: Iterable[int], index_max: int) -> bool:
        """Tell the collateral and the tokens whose turn it is.

        traded: instruments with a fill.  index_max: the last one the core knows of.  Returns
        whether all that was asked could be read and no token with a fill is left unread.
        Raises Unreachable.
        """
        self._traded.update(traded)
        is_read = await self._read(rest, 0, COLLATERAL)
        held, others = self._due(index_max)
        for index in held:
            is_read = await self._read(rest, index, self._question(index)) and is_read
        for index in others:
            try:
                await self._read(rest, index, self._question(index))
            except Unreachable as error:  # no shares are known of it: nothing is incomplete
                self._context.errors.record("clob_private", error)
        return is_read and self._traded <= self._shares.keys()

    def _due(self, index_max: int) -> tuple[list[int], list[int]]:
        """Return what to ask about: tokens that matter, all unread ones among them, and others."""
        unread = [each for each in sorted(self._traded - self._shares.keys()) if each <= index_max]
        held = [each for each in self._asked if each in self._shares and self._matters(each)]
        known = {*held, *unread}
        never = (each.index for each in self._instruments if each.index not in self._asked)
        others = (
            index
            for index in [*never, *self._asked]
            if index not in known
            and index <= index_max
            and not self._instruments.get(index).is_resolved
        )
        return [*unread, *held[:HELD_MAX]], [*islice(others, OTHERS_MAX)]

    def _question(self, index: int) -> dict[str, str]:
        instrument = self._instruments.get(index)
        kind = "CONDITIONAL-V2" if instrument.market.generation == 3 else "CONDITIONAL"
        return {"asset_type": kind, "token_id": instrument.token_id}

    def _matters(self, index: int) -> bool:
        is_over = self._instruments.get(index).is_resolved
        return self._shares[index] > 0 or (index in self._traded and not is_over)

    async def _read(self, rest: AccountRest, index: int, question: dict[str, str]) -> bool:
        """Tell one balance, of the collateral where index is 0; return whether it could be read."""
        if index:
            self._asked.pop(index, None)
            self._asked[index] = None
        asked_ns = self._context.clock.now_ns()
        signature_type = str(self._account.signature_type)
        answer = await rest.get(
            "/balance-allowance", {**question, "signature_type": signature_type}
        )
        try:
            balance, allowance = _amounts(answer)
        except (KeyError, TypeError, ValueError, AttributeError):
            error = MalformedFrame(f"balance refused: instrument={index}")
            self._context.errors.record("clob_private", error)
            self._context.count("user_unreadable")
            return False
        if index:
            self._shares[index] = balance
        self._outbox.put(_row(index, balance, allowance, asked_ns))
        return True


def _amounts(answer: Any) -> tuple[int, int]:
    """Return balance and the highest allowance, base units, as far as int64 reaches."""
    balance = whole_number(answer["balance"])
    allowances = [whole_number(each) for each in (answer.get("allowances") or {}).values()]
    return min(balance, INT64_MAX), min(max(allowances, default=0), INT64_MAX)


def _row(index: int, balance: int, allowance: int, asked_ns: int) -> np.ndarray:
    record = new(Kind.BALANCE)
    record["source"] = Source.CLOB_PRIVATE
    record["flags"] = Flag.SNAPSHOT
    record["instrument"] = index
    record["local_ns"] = asked_ns
    record["balance"], record["allowance"] = balance, allowance
    return words(record)
