"""The world in a few integers, for an operator's eye. Money in micros, sizes in micro-shares."""

from __future__ import annotations

from engine.core.world.orders import OrderState
from engine.core.world.world import World


def gauges_of(world: World) -> dict[str, int]:
    """Return what there is of orders, money, positions and markets."""
    orders, lots, unresolved = world.orders, world.lots, world.instruments.unresolved.values()
    unknown = sum(order.state == OrderState.UNKNOWN for order in orders.all_working())
    return {
        "orders_opened": len(orders.by_id),
        "orders_open": orders.working_count - orders.armed_count,
        "orders_armed": orders.armed_count,
        "orders_unknown": unknown,
        "halted": world.halted,
        "equity_micros": world.equity(),
        "cash_flow_micros": world.cash.flow,
        "exposure_micros": world.total_exposure(),
        "instruments": 2 * len(world.instruments.markets),
        "instruments_refused": world.instruments.refused,
        "markets_open": len(unresolved),
        "markets_halted": world.instruments.halted,
        "position_up": sum(lots.size(market.up.index) for market in unresolved),
        "position_down": sum(lots.size(market.down.index) for market in unresolved),
    }


def venue_ns_of(world: World, last_ns: int) -> int:
    """Return the latest venue clock that an open market tells (epoch), `last_ns` without any."""
    unresolved = world.instruments.unresolved.values()
    return max((world.venue_ns(market) for market in unresolved), default=last_ns)
