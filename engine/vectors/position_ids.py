"""Which protocol a token id belongs to, and what a position id says: `position_ids`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.vectors.case import Case, Fact, Row, cases_of
from engine.vectors.values import hex_text, integer
from signer.contracts import is_position_id
from signer.position_ids import decode_position_id, padded_condition_id


def cases(document: Row) -> Iterator[Case]:
    """Yield a case for each asset id."""
    return cases_of(document, "vectors", _facts)


def _facts(row: Row) -> Iterable[Fact]:
    token_id = integer(row["asset_id"])
    yield "is_v2", row["is_v2"], is_position_id(token_id)
    if "condition_id_31" in row or "outcome_index" in row:
        position = decode_position_id(token_id)
        yield "condition_id_31", row["condition_id_31"], hex_text(position.condition_id)
        padded = padded_condition_id(position.condition_id)
        yield "condition_id_32", row["condition_id_32"], hex_text(padded)
        yield "outcome_index", row["outcome_index"], position.outcome_index
