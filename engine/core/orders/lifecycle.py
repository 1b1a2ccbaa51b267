"""The order state machine: evidence in, state out. Nothing here guesses.

```
PENDING ─ACK──────────▶ LIVE ──────────told = size───▶ DONE ──told alive or filled──▶ LIVE, ENDING
   │ └──UNKNOWN──▶ UNKNOWN ─ACK──▶ LIVE    │
   │                  │                   DONE / killed: final size known
   └──REJECT──▶ DONE ◀┘                    ▼
                                         ENDING ──told = final──▶ DONE
```
Only evidence ends an order: a refusal, an acknowledged cancel, a final size, or fills up to its
size. Time and transport errors never do (UNKNOWN keeps its exposure). A fill counts in any state,
and one that has failed counts as told: the venue's final size includes it, and it will not come.
"""

from __future__ import annotations

from engine.core.world.orders import Order, Orders, OrderState
from engine.wire.codes import OrderStatus, Reason, Side, Tif

# An immediate order is told live for a moment, and may be told so when that moment is over.
_OVER_AT_ONCE = frozenset((Reason.FILLED, Reason.VENUE_KILLED, Reason.MARKET_RESOLVED))


def on_ack(orders: Orders, order: Order, status: int, making: int, taking: int) -> None:
    """The venue has the order. An immediate order (FOK, FAK) is over once its fills are in."""
    if order.state in (OrderState.ENDING, OrderState.DONE):
        return
    order.state = OrderState.LIVE
    if order.tif in (Tif.FOK, Tif.FAK) and status == OrderStatus.MATCHED:
        _end(orders, order, taking if order.side == Side.BUY else making, Reason.FILLED)


def on_reject(orders: Orders, order: Order, reason: int) -> None:
    """The order is definitely not live: what has filled of it is all there will be."""
    if order.state != OrderState.DONE:
        _end(orders, order, order.told, reason)


def on_unknown(order: Order) -> None:
    """The outcome was not seen: exposure stays until evidence comes."""
    if order.state == OrderState.PENDING:
        order.state = OrderState.UNKNOWN


def on_done(orders: Orders, order: Order, matched: int, reason: int) -> None:
    """The order is over. matched: micro-shares it filled in all, -1 = the venue did not say."""
    if matched < 0:
        orders.close(order, reason)
    elif order.state != OrderState.DONE:
        _end(orders, order, max(matched, order.told), reason)
    elif matched > order.told:  # it had filled more than we knew when it ended
        order.final = matched
        orders.reopen(order, OrderState.ENDING)


def on_alive(orders: Orders, order: Order) -> bool:
    """The venue calls an order live; return whether it was thought to be over, and must not be."""
    if order.state != OrderState.DONE or order.reason in _OVER_AT_ONCE:
        return False
    order.final = -1
    if order.remaining == 0:
        return False
    orders.reopen(order, OrderState.LIVE)
    return True


def on_fill(orders: Orders, order: Order, size: int) -> None:
    """Count a fill (negative: a failed one taken back). A fill on a dead order is counted too."""
    order.filled += size
    if size < 0:
        order.failed -= size
    _go_on(orders, order)


def on_failed(orders: Orders, order: Order, size: int) -> None:
    """Count a fill that was never booked, for it has failed before we heard of it."""
    order.failed += size
    _go_on(orders, order)


def on_contradiction(orders: Orders, order: Order) -> None:
    """A fill of the order could not be believed: its end waits for no other fill any more."""
    order.is_contradicted = True
    if order.state == OrderState.ENDING:
        orders.close(order, order.reason)


def _go_on(orders: Orders, order: Order) -> None:
    if order.state == OrderState.DONE:
        return
    orders.reckon(order)
    if order.told >= order.size:
        orders.close(order, Reason.FILLED)
    elif order.state == OrderState.ENDING:
        _end(orders, order, order.final, order.reason)
    elif order.state in (OrderState.PENDING, OrderState.UNKNOWN):
        order.state = OrderState.LIVE


def _end(orders: Orders, order: Order, final: int, reason: int) -> None:
    """The venue is finished with the order after `final` micro-shares; wait for missing fills."""
    order.final = final
    order.reason = reason
    if order.told >= final or order.is_contradicted:
        orders.close(order, reason)
    else:
        order.state = OrderState.ENDING
        orders.reckon(order)
