"""The venue's words for the state of an order and of a trade, as our numbers. Pure.

One vocabulary for every door they come in by: answers to orders, the account's stream, and what is
read back. REST puts a prefix before a word, the stream may put free text behind one
("CANCELED_order couldn't be fully filled …"), and the cases differ: words are matched by prefix, in
any case. Source: the venue's API description and recorded messages.
"""

from __future__ import annotations

from engine.wire.codes import OrderStatus, Settlement

_ORDER_WORDS = (
    ("LIVE", OrderStatus.LIVE),
    ("MATCHED", OrderStatus.MATCHED),
    ("DELAYED", OrderStatus.DELAYED),
    ("UNMATCHED", OrderStatus.UNMATCHED),
    ("CANCELED", OrderStatus.CANCELED),  # CANCELED_MARKET_RESOLVED too
    ("CANCELLED", OrderStatus.CANCELED),
    ("EXPIRED", OrderStatus.CANCELED),
    ("INVALID", OrderStatus.INVALID),
)
_TRADE_WORDS = (
    ("MATCHED", Settlement.MATCHED),  # MATCHED_NOT_BROADCASTED too
    ("RETRYING", Settlement.RETRYING),
    ("MINED", Settlement.MINED),
    ("CONFIRMED", Settlement.CONFIRMED),
    ("FAILED", Settlement.FAILED),
)
# UNMATCHED is none of them: such an order has found no match and rests in the book.
ENDED = frozenset({OrderStatus.MATCHED, OrderStatus.CANCELED, OrderStatus.INVALID})


def order_status_of(text: str) -> OrderStatus | None:
    """Return the status an order's word stands for, None for a word that is not known here."""
    word = text.upper().removeprefix("ORDER_STATUS_")
    return next((status for name, status in _ORDER_WORDS if word.startswith(name)), None)


def settlement_of(text: str) -> Settlement:
    """Return how far a trade has settled by its word, UNKNOWN for one that is not known here."""
    word = text.upper().removeprefix("TRADE_STATUS_")
    return next((rank for name, rank in _TRADE_WORDS if word.startswith(name)), Settlement.UNKNOWN)
