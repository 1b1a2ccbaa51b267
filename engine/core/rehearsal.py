"""A dry run of the core: a small world of its own, in which every strategy is given cause to trade.

Same code and same strategies as the core's, so running it keeps both in the processor's caches;
other books, orders and memory, so nothing it does can be seen in the core. Its market sells both
outcomes below 1 and moves at every run; limits are out of its way, and whatever it orders is
refused at once, so that the next run finds it as this one did.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.core.engine import Engine
from engine.core.params import EngineParams, RiskLimits
from engine.math.units import MICROS
from engine.wire.codes import Connection, FeeCurve, Flag, Kind, MarketStatus, Side, Source
from engine.wire.records import BODY_WORD, new, words

UP, DOWN = 1, 2
_NEW_ORDER = int(Kind.NEW_ORDER)
_MUCH = 1 << 60
_LIMITS = RiskLimits(
    _MUCH,
    _MUCH,
    _MUCH,
    _MUCH,
    _MUCH,
    _MUCH,
    cash_min=-_MUCH,
    private_sign_age_ns_max=_MUCH,
    read_back_age_ns_max=_MUCH,
)
_SECOND = 1_000_000_000
_OPEN_S, _CLOSE_S = 1_000_000_000, (1 << 32) - 1  # a window no process outlives at a second a run
_BID, _ASK = (380_000, 390_000), (410_000, 400_000)  # of both books, in turn
_SIZE = 1_000 * MICROS
_ORDERS_MAX = 64  # refused in one run
_UNSIGNED = (1 << 64) - 1  # an id is unsigned, a word is not
_ORDER_ID = BODY_WORD  # the first field of NEW_ORDER and of REJECT alike


class Rehearsal:
    """The scratch engine and the records it is stepped with."""

    def __init__(self, params: EngineParams) -> None:
        """params: the core's; only its strategies matter."""
        self._engine = Engine(replace(params, instruments_max=DOWN, risk=_LIMITS))
        self._ticks = (_tick(1), _tick(0))
        self._refusals = words(new(Kind.REJECT, _ORDERS_MAX))
        self._ordered: list[int] = []
        self._runs = 0
        self._sequence = 1
        self._now_ns = (_OPEN_S + 86_400) * _SECOND

    def run(self) -> np.ndarray:
        """Live through one tick; return what it led to, int64[m, 16], valid until the next run.

        Raises what a strategy raises.
        """
        if self._runs == 0:
            self._step(_opening())
            self._step(_tick(0, Flag.RESET))
        self._now_ns += _SECOND
        tick = self._ticks[self._runs & 1]
        tick[:, 2:4] = self._now_ns
        refused = self._ordered
        assert len(refused) <= _ORDERS_MAX, f"too many orders in a dry run: orders={len(refused)}"
        refusals = self._refusals[: len(refused)]
        refusals[:, _ORDER_ID] = refused
        out = self._step(np.concatenate((refusals, tick)))
        self._engine.settle()
        for order_id in refused:  # it is over, and a world that lives on must not grow
            del self._engine.world.orders.by_id[order_id & _UNSIGNED]
        self._runs += 1
        return out

    def _step(self, rows: np.ndarray) -> np.ndarray:
        out = self._engine.step(rows, self._sequence, self._now_ns)
        if self._engine.failures:
            raise self._engine.failures[0][1]
        self._sequence += len(rows)
        self._ordered = [row[_ORDER_ID] for row in out.tolist() if row[0] & 0xFFFF == _NEW_ORDER]
        return out


def _opening() -> np.ndarray:
    """Return the records that open the market: all a gate asks for is known and good."""
    instruments = new(Kind.INSTRUMENT, 2)
    instruments["instrument"], instruments["complement"] = (UP, DOWN), (DOWN, UP)
    instruments["outcome"] = 0, 1
    instruments["fee_curve"], instruments["fee_rate_ppm"] = FeeCurve.V2, 70_000
    instruments["fee_exponent"] = 1
    instruments["tick"], instruments["min_size_cents"] = 10_000, 500
    instruments["open_s"], instruments["close_s"] = _OPEN_S, _CLOSE_S
    status = new(Kind.STATUS)
    status["instrument"], status["status"], status["payout"] = UP, MarketStatus.OPEN, -1
    cash = new(Kind.BALANCE)
    cash["balance"] = _MUCH
    recovered = new(Kind.RECOVERED)
    recovered["last"] = 1
    private = new(Kind.FEED_STATUS)
    private["feed"], private["connection"] = Source.CLOB_USER, Connection.CONNECTED
    private["local_ns"] = private["read_back_ns"] = _OPEN_S * _SECOND
    records = instruments, status, cash, recovered, private
    return np.concatenate([words(each) for each in records])


def _tick(turn: int, flags: int = 0) -> np.ndarray:
    """Return the LEVELS that bring both books to one of the two touches, int64[2, 16].

    The outer level of either side always rests, the inner one comes and goes: as frames do it.
    """
    books = new(Kind.LEVELS, 2)
    books["instrument"] = UP, DOWN
    books["flags"] = Flag.LAST | Flag.TOUCH | flags
    levels = books["levels"]
    levels["price"][:, :4] = (*_BID, *_ASK)
    levels["side"][:, :4] = Side.BUY, Side.BUY, Side.SELL, Side.SELL
    levels["size"][:, :4] = _SIZE, _SIZE * turn, _SIZE, _SIZE * turn
    books["best_bid"], books["best_ask"] = _BID[turn], _ASK[turn]
    return words(books)
