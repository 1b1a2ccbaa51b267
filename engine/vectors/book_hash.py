"""The venue's hash of a book: `book_hash`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.exchange.book_hash import BookSummary, level_text
from engine.vectors.case import Case, Fact, Row, cases_of, rows_of


def cases(document: Row) -> Iterator[Case]:
    """Yield a case for each book."""
    return cases_of(document, "vectors", _facts)


def _facts(row: Row) -> Iterable[Fact]:
    book = row["book"]
    summary = BookSummary(
        market=book["market"],
        asset_id=book["asset_id"],
        timestamp_ms=book["timestamp"],
        bids=_levels(book, "bids"),
        asks=_levels(book, "asks"),
        min_order_size=book["min_order_size"],
        tick_size=book["tick_size"],
        neg_risk=book["neg_risk"],
        last_trade_price=book["last_trade_price"],
        version=book.get("version", ""),
    )
    yield "sha1", row["sha1"], summary.hash()


def _levels(book: Row, side: str) -> str:
    return ",".join(
        level_text(level["price"], level["size"]) for level in rows_of(book, side, "book.")
    )
