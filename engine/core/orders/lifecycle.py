"""The order state machine: evidence in, state out. Nothing here guesses.

```
PENDING ─ACK──────────▶ LIVE ──────────fills = size──▶ DONE
   │ └──UNKNOWN──▶ UNKNOWN ─ACK──▶ LIVE    │
   │                  │                   DONE / killed: final size known
   └──REJECT──▶ DONE ◀┘                    ▼
                                         ENDING ──fills = final──▶ DONE
```
Only evidence ends an order: a refusal, an acknowledged cancel, a final size, or fills up to its
size. Time and transport errors never do (UNKNOWN keeps its exposure). A fill counts in any state.
"""

from __future__ import annotations

from engine.core.world.orders import Order, Orders, OrderState
from engine.wire.codes import OrderStatus, Reason, Side, Tif


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
        _end(orders, order, order.filled, reason)


def on_unknown(order: Order) -> None:
    """The outcome was not seen: exposure stays until evidence comes."""
    if order.state == OrderState.PENDING:
        order.state = OrderState.UNKNOWN


def on_done(orders: Orders, order: Order, matched: int, reason: int) -> None:
    """The order is over. matched: micro-shares it filled in all, -1 = the venue did not say."""
    if order.state == OrderState.DONE:
        return
    if matched >= 0:
        _end(orders, order, max(matched, order.filled), reason)
    else:
        orders.close(order, reason)


def on_fill(orders: Orders, order: Order, size: int) -> None:
    """Count a fill (negative: a failed one taken back). A fill on a dead order is counted too."""
    order.filled += size
    if order.state == OrderState.DONE:
        return
    orders.reckon(order)
    if order.filled >= order.size:
        orders.close(order, Reason.FILLED)
    elif order.state == OrderState.ENDING:
        _end(orders, order, order.final, order.reason)
    elif order.state in (OrderState.PENDING, OrderState.UNKNOWN):
        order.state = OrderState.LIVE


def _end(orders: Orders, order: Order, final: int, reason: int) -> None:
    """The venue is finished with the order after `final` micro-shares; wait for missing fills."""
    order.final = final
    order.reason = reason
    if order.filled >= final:
        orders.close(order, reason)
    else:
        order.state = OrderState.ENDING
        orders.reckon(order)
