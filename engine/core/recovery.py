"""When the core knows what earlier runs have left, so that it may open something.

```
RECOVERED … RECOVERED(last)   every order of earlier lives, by the signer's order log
        │   each that may be live has its end: cancelled, filled, refused, by evidence
        ▼
a complete read-back of the account that began after the last of them had ended  ──▶ recovered
```
Such a read-back has told every fill there can be and every balance. Until then no order passes.
"""

from __future__ import annotations

from engine.core.world.orders import Order, OrderState
from engine.math.units import MICROS, notional_micros_ceil
from engine.wire.codes import Side, Tif


def recovered_order(
    order_id: int, price: int, size: int, strategy: int, side: int, tif: int, *, is_open: bool
) -> Order:
    """Return an order of an earlier life, as far as the order log knows it.

    Of an immediate buy that is what it spends and the least it gets, which is no limit: a fill may
    be dearer than the two say together.
    """
    state = OrderState.UNKNOWN if is_open else OrderState.DONE
    budget = 0
    if side == Side.BUY and tif in (Tif.FOK, Tif.FAK):
        budget, price = notional_micros_ceil(price, size), MICROS
    return Order(order_id, strategy, 0, side, price, size, tif, 0, budget, state=state)


class Recovery:
    """What is still to be known.

    is_listed: the order log is told in full.  is_idle: no order of an earlier life is open.
    """

    __slots__ = ("_known_ns", "_open", "is_idle", "is_listed")

    def __init__(self) -> None:
        self.is_listed = False
        self.is_idle = True
        self._open: list[Order] = []
        self._known_ns = 0  # when the last order of an earlier life was told or ended

    def on_order(self, order: Order) -> None:
        """Take an order of an earlier life."""
        if order.state != OrderState.DONE:
            self._open.append(order)
            self.is_idle = False

    def on_listed(self, local_ns: int) -> None:
        """The order log is told in full, at this moment."""
        self.is_listed = True
        self._known_ns = max(self._known_ns, local_ns)

    def on_report(self, local_ns: int) -> None:
        """Something was told at this moment; it may have been the end of one of them."""
        self._known_ns = max(self._known_ns, local_ns)

    def is_complete(self, read_back_ns: int) -> bool:
        """Return whether a complete read-back that began at this moment has told everything."""
        self._open = [order for order in self._open if order.state != OrderState.DONE]
        self.is_idle = not self._open
        return self.is_listed and not self._open and read_back_ns > self._known_ns
