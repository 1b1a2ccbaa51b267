"""What the venue's answers mean: three verdicts on an order, and what became of a cancel.

A refusal must be certain: a text that is known here, or a status that is given before an order is
read. Everything else is UNKNOWN and is looked up by the order's hash. `success: true` with a known
error text is a refusal. Texts: the venue's error pages and the official clients; matched in lower
case, anywhere in the text, most specific first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import orjson

from engine.wire.codes import OrderStatus, Reason
from engine.wire.status_texts import order_status_of
from signer.http import Answer, Outcome

MICROS_DECIMALS = 6
_UNSAID = -1
RETRY_S_MAX = 600


class Fate(IntEnum):
    """What an answer says of an order."""

    ACCEPTED = 0
    REFUSED = 1
    UNKNOWN = 2
    ENDED = 3  # look-ups only: it was live, and is over


class Verdict(NamedTuple):
    """What an answer means.

    making / taking: micros matched at once.  matched: micro-shares, -1 = not said.
    retry_s: how long a venue that takes no orders asks us to wait, 0 = it does not say.
    """

    fate: int
    reason: int = Reason.OK
    status: int = 0
    making: int = 0
    taking: int = 0
    matched: int = -1
    retry_s: int = 0


class CancelVerdict(NamedTuple):
    """canceled: hashes that are over. refused: hash → why not. is_final: the venue answered."""

    canceled: tuple[str, ...]
    refused: Mapping[str, str]
    is_final: bool
    reason: int


# Texts after which the order may well be live: no status code makes them definitive.
_UNSEEN_TEXTS = (
    ("match delayed", Reason.VENUE_ERROR),
    ("delaying", Reason.VENUE_ERROR),
    ("could not insert", Reason.VENUE_ERROR),
    ("could not run", Reason.VENUE_ERROR),
    ("context canceled", Reason.VENUE_ERROR),
    ("deadline exceeded", Reason.VENUE_ERROR),
    ("timeout", Reason.VENUE_ERROR),
    ("timed out", Reason.VENUE_ERROR),
    ("internal", Reason.VENUE_ERROR),
    ("duplicate", Reason.VENUE_DUPLICATED),
    ("already exists", Reason.VENUE_DUPLICATED),
    # Signed for an exchange that is another one now: whether this one took it, only a look tells.
    ("order_version_mismatch", Reason.VENUE_VERSION),
)
_REFUSAL_TEXTS = (
    ("breaks minimum tick size", Reason.VENUE_TICK),
    ("lower than the minimum", Reason.VENUE_MIN_SIZE),
    ("min size: $", Reason.VENUE_MIN_SIZE),
    ("not enough balance", Reason.VENUE_BALANCE),
    ("balance is not enough", Reason.VENUE_BALANCE),
    ("allowance is not enough", Reason.VENUE_BALANCE),
    ("invalid expiration", Reason.VENUE_EXPIRATION),
    ("order crosses book", Reason.VENUE_POST_ONLY_CROSSES),
    ("crosses the book", Reason.VENUE_POST_ONLY_CROSSES),
    ("fully filled or killed", Reason.VENUE_KILLED),
    ("no orders found to match", Reason.VENUE_KILLED),
    ("not yet ready", Reason.VENUE_NOT_READY),
    ("address banned", Reason.VENUE_BANNED),
    ("closed only mode", Reason.VENUE_CLOSED_ONLY),
    ("maker address not allowed", Reason.VENUE_AUTH),
    ("api key", Reason.VENUE_AUTH),
    ("unauthorized", Reason.VENUE_AUTH),
    ("invalid l1 request headers", Reason.VENUE_AUTH),
    ("signer address has to be", Reason.VENUE_AUTH),
    ("invalid amounts", Reason.VENUE_AMOUNTS),
    ("invalid amount for a marketable", Reason.VENUE_MIN_SIZE),
    ("invalid signature", Reason.VENUE_SIGNATURE),
    ("invalid post-only order", Reason.VENUE_REJECTED),
    ("invalid order payload", Reason.VENUE_REJECTED),
    ("invalid nonce", Reason.VENUE_REJECTED),
    ("too many orders in payload", Reason.VENUE_REJECTED),
    ("post-only mode", Reason.VENUE_POST_ONLY_MODE),
    ("post_only_mode", Reason.VENUE_POST_ONLY_MODE),
    ("cancel-only", Reason.VENUE_CANCEL_ONLY),
    ("trading is currently disabled", Reason.VENUE_DISABLED),
    ("trading is disabled", Reason.VENUE_DISABLED),
    ("rate limit", Reason.VENUE_RATE),
    ("service not ready", Reason.VENUE_RESTARTING),
    ("market not found", Reason.VENUE_NOT_FOUND),
    ("orderbook", Reason.VENUE_NOT_FOUND),
)
# Given at the door, before the order is read, so definitive whatever the body is: credentials, the
# edge's block, a body that is too large or of another type, a restart, a rate. Not 400: the venue
# answers it for an order that may have been placed as well, so there the text must be known. Not
# 404: a proxy without a route says it too.
_REFUSAL_STATUSES = {
    401: Reason.VENUE_AUTH,
    403: Reason.VENUE_BANNED,
    413: Reason.VENUE_REJECTED,
    415: Reason.VENUE_REJECTED,
    425: Reason.VENUE_RESTARTING,
    429: Reason.VENUE_RATE,
}
# Definitive although the status is 5xx: the venue says that it takes no orders.
_CLOSED_REASONS = frozenset(
    (Reason.VENUE_DISABLED, Reason.VENUE_CANCEL_ONLY, Reason.VENUE_POST_ONLY_MODE)
)
# Refusals of a venue that has not looked at the order: they say nothing of an earlier copy of it.
AT_THE_DOOR = _CLOSED_REASONS | frozenset(
    (
        Reason.NO_CONNECTION,
        Reason.VENUE_AUTH,
        Reason.VENUE_BANNED,
        Reason.VENUE_RATE,
        Reason.VENUE_RESTARTING,
    )
)
_TRANSPORT_REASONS = {
    Outcome.NOT_SENT: Reason.NO_CONNECTION,
    Outcome.TIMEOUT: Reason.TIMEOUT,
    Outcome.CONNECTION_LOST: Reason.CONNECTION_LOST,
    Outcome.UNREADABLE: Reason.UNREADABLE_ANSWER,
}


def classify_order(answer: Answer, order_hash: bytes) -> Verdict:
    """Return what the answer to `POST /order` means for the order with this hash."""
    if answer.outcome != Outcome.ANSWERED:
        reason = _TRANSPORT_REASONS[Outcome(answer.outcome)]
        fate = Fate.REFUSED if answer.outcome == Outcome.NOT_SENT else Fate.UNKNOWN
        return Verdict(fate, reason)
    content = _json_object(answer.body)
    if answer.status == 200:
        return classify_order_content(content, order_hash)
    text = _error_text(content)
    if 400 <= answer.status < 500 and answer.status != 408:
        return _refused_or_unseen(text, _REFUSAL_STATUSES.get(answer.status, Reason.OK))
    reason = _reason_of(text, _REFUSAL_TEXTS)
    if answer.status == 503 and reason in _CLOSED_REASONS:
        return Verdict(Fate.REFUSED, reason, retry_s=_retry_s(content))
    return Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)


def classify_order_content(content: Mapping[str, Any], order_hash: bytes) -> Verdict:
    """Return what the JSON of a 200 to one order, or to one leg of a batch, means for it."""
    text = _error_text(content)
    if not text and content.get("success") is not False:
        return _accepted(content, order_hash)
    return _refused_or_unseen(text, Reason.OK)


def classify_look_up(answer: Answer, order_hash: bytes) -> Verdict:
    """Return what the answer to `GET /data/order/{hash}` means for the order.

    REFUSED with VENUE_NOT_FOUND is *not* yet proof that the order is dead: the caller asks again.
    """
    if answer.outcome != Outcome.ANSWERED:
        return Verdict(Fate.UNKNOWN, _TRANSPORT_REASONS[Outcome(answer.outcome)])
    content = _json_object(answer.body)
    # The venue's own words alone: a proxy that has lost its route answers 404 with a page.
    if answer.status == 404 and "not found" in _error_text(content):
        return Verdict(Fate.REFUSED, Reason.VENUE_NOT_FOUND)
    if answer.status != 200:
        return Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)
    if answer.body.strip() == b"null":
        return Verdict(Fate.REFUSED, Reason.VENUE_NOT_FOUND)
    name = str(content.get("status", ""))
    status = order_status_of(name)
    # Absent is not zero: an order that ended with a fill must not look like one without.
    said = content.get("size_matched")
    matched = _UNSAID if said in (None, "") else micros_of(said)
    if not _is_hash(content.get("id"), order_hash) or status is None or matched is None:
        return Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)
    if status == OrderStatus.MATCHED and matched == _UNSAID:
        return Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)
    if status == OrderStatus.CANCELED:
        reason = Reason.MARKET_RESOLVED if "RESOLVED" in name.upper() else Reason.CANCELED
        return Verdict(Fate.ENDED, reason, status, matched=matched)
    if status == OrderStatus.INVALID:
        if matched:
            return Verdict(Fate.ENDED, Reason.VENUE_REJECTED, status, matched=matched)
        return Verdict(Fate.REFUSED, Reason.VENUE_REJECTED, status)
    return Verdict(Fate.ACCEPTED, Reason.OK, status, matched=max(matched, 0))


def classify_cancel(answer: Answer) -> CancelVerdict:
    """Return what the answer to a cancel says; not final unless the venue lists what it canceled.

    What is no hash, or is in both lists, is in neither: the caller looks such an order up.
    """
    if answer.outcome != Outcome.ANSWERED:
        return CancelVerdict((), {}, False, _TRANSPORT_REASONS[Outcome(answer.outcome)])
    content = _json_object(answer.body)
    canceled = content.get("canceled")
    refused = content.get("not_canceled") or {}
    if answer.status == 200 and isinstance(canceled, list) and isinstance(refused, dict):
        ended = {_digits(order) for order in canceled if isinstance(order, str)}
        reasons = {_digits(order): str(why).lower() for order, why in refused.items()}
        return CancelVerdict(
            tuple(sorted(ended - reasons.keys())),
            {digits: why for digits, why in reasons.items() if digits not in ended},
            True,
            Reason.OK,
        )
    text = _error_text(content)
    default = _REFUSAL_STATUSES.get(answer.status, Reason.VENUE_ERROR)
    reason = _reason_of(text, _REFUSAL_TEXTS) or default
    return CancelVerdict((), {}, False, reason)


def is_held(why: str) -> bool:
    """Return whether a cancel was refused because the venue holds the order before matching."""
    return "pending" in why or "delayed" in why


def is_gone(why: str) -> bool:
    """Return whether a cancel was refused because there is, or is no more, nothing to cancel."""
    return not is_held(why) and ("not found" in why or "already" in why)


def micros_of(value: Any) -> int | None:
    """Return a decimal text or JSON number in micros, rounded down; "" is 0, nonsense is None."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = repr(value)
    if value is None or value == "":
        return 0
    if not isinstance(value, str) or len(value) > 40 or not value.isascii():
        return None
    whole, _, part = value.partition(".")
    if not (whole + part).isdigit() or not whole:
        return None
    micros = int(whole + part[:MICROS_DECIMALS].ljust(MICROS_DECIMALS, "0"))
    return micros if micros < 1 << 62 else None


def _accepted(content: Mapping[str, Any], order_hash: bytes) -> Verdict:
    order_id = content.get("orderID")
    if not _is_hash(order_id, order_hash):
        reason = Reason.HALT_HASH_MISMATCH if order_id else Reason.UNREADABLE_ANSWER
        return Verdict(Fate.UNKNOWN, reason)
    status = order_status_of(str(content.get("status", "")))
    making = micros_of(content.get("makingAmount"))
    taking = micros_of(content.get("takingAmount"))
    if status is None or making is None or taking is None:
        return Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)
    if status == OrderStatus.MATCHED and not (making and taking):
        # Matched, but the amounts are left out: how much must be asked for.
        return Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)
    return Verdict(Fate.ACCEPTED, Reason.OK, status, making, taking)


def _refused_or_unseen(text: str, default: Reason) -> Verdict:
    """default: what the status alone proves, OK = nothing; then only a known text refuses."""
    unseen = _reason_of(text, _UNSEEN_TEXTS)
    if unseen:
        return Verdict(Fate.UNKNOWN, unseen)
    known = _reason_of(text, _REFUSAL_TEXTS) or default
    if known:
        return Verdict(Fate.REFUSED, known)
    # Something was said, in words that are not known here, or nothing at all.
    return Verdict(Fate.UNKNOWN, Reason.VENUE_REJECTED if text else Reason.UNREADABLE_ANSWER)


def _reason_of(text: str, table: tuple[tuple[str, Reason], ...]) -> Reason:
    for part, reason in table:
        if part in text:
            return reason
    return Reason.OK


def _retry_s(content: Mapping[str, Any]) -> int:
    """Return `retry_after_seconds`, 0 for anything but a reasonable whole number."""
    value = content.get("retry_after_seconds")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0
    return int(value) if 0 < value <= RETRY_S_MAX else 0


def _error_text(content: Mapping[str, Any]) -> str:
    names = ("errorMsg", "error", "error_msg", "code")
    return " ".join(str(content[name]) for name in names if content.get(name)).lower()


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _digits(order_id: str) -> str:
    return order_id.lower().removeprefix("0x")


def _is_hash(order_id: Any, order_hash: bytes) -> bool:
    return isinstance(order_id, str) and _digits(order_id) == order_hash.hex()
