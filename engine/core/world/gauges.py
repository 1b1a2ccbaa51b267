"""The world in a few integers, for an operator's eye. Money in micros, sizes in micro-shares."""

from __future__ import annotations

from engine.core.world.facts import OPENED
from engine.core.world.instruments import Market
from engine.core.world.orders import OrderState
from engine.core.world.world import World


def gauges_of(world: World) -> dict[str, int]:
    """Return what there is of orders, money, positions and markets."""
    orders, lots, unresolved = world.orders, world.lots, world.instruments.unresolved.values()
    unknown = sum(order.state == OrderState.UNKNOWN for order in orders.all_working())
    return {
        "orders_opened": world.facts.account_words[OPENED],
        "orders_open": orders.working_count - orders.armed_count,
        "orders_armed": orders.armed_count,
        "orders_unknown": unknown,
        "halted": world.halted,
        "equity_micros": world.equity(),
        "cash_flow_micros": world.cash.flow,
        "cash_micros": world.cash.balance,
        "cash_venue_micros": world.cash.venue,
        "exposure_micros": world.total_exposure(),
        "is_recovered": int(world.is_recovered),
        "fills_unseen": int(world.is_blind),
        "tokens_unexplained": world.holdings.disputed,
        "unexplained_shares_micros": world.holdings.unexplained,
        "instruments": 2 * len(world.instruments.markets),
        "instruments_refused": world.instruments.refused,
        "markets_open": len(unresolved),
        "markets_halted": world.instruments.halted,
        "markets_without_book": sum(not _has_books(world, market) for market in unresolved),
        "rows_refused": sum(_rows_refused(world, market) for market in unresolved),
        "position_up": sum(lots.size(market.up.index) for market in unresolved),
        "position_down": sum(lots.size(market.down.index) for market in unresolved),
    }


def _has_books(world: World, market: Market) -> bool:
    """Whether both books of a market that takes orders may be believed, however old they are."""
    touch = world.books.touch
    return not market.is_open or (touch(market.up.index).usable and touch(market.down.index).usable)


def _rows_refused(world: World, market: Market) -> int:
    """Return how many rows of a market's books were no use: before a snapshot, or damaged."""
    return world.books.rejected(market.up.index) + world.books.rejected(market.down.index)


def venue_ns_of(world: World, last_ns: int) -> int:
    """Return the latest venue clock that an open market tells (epoch), `last_ns` without any."""
    unresolved = world.instruments.unresolved.values()
    return max((world.venue_ns(market) for market in unresolved), default=last_ns)
