"""A Gamma market object → Market: what to trade, by which protocol, at which fee. Pure.

Gamma's objects come in several ages and spellings; what is missing is tolerated where trading does
not depend on it, and a market that is unclear in anything that does is refused by name.
Source: Gamma's API description; recorded pages are in the contract tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.wire.codes import FeeCurve, MarketStatus
from feeds.instruments import Market
from feeds.numbers import MICROS, bytes32, micros_of_number, token_number
from feeds.port import MarketRefused

UP_NAMES, DOWN_NAMES = frozenset({"up", "yes"}), frozenset({"down", "no"})
PROTOCOL_V2_ZERO_BITS = ((1 << 64) - 1) << 40  # reserved bits of a protocol V2 position id
FEE_EXPONENTS = (1, 2)
WHOLE_PAYOUTS = (0, MICROS // 2, MICROS)
UINT32_MAX = (1 << 32) - 1
_DIGITS = re.compile("[0-9]+", re.ASCII)


def parse_market(raw: Mapping[str, Any]) -> Market:
    """Return the market a Gamma object describes; MarketRefused says what is missing or wrong."""
    slug = str(raw.get("slug") or raw.get("conditionId") or "?")[:200]
    try:
        return _parse(slug, raw)
    except (ValueError, TypeError, OverflowError, msgspec.DecodeError) as error:
        raise MarketRefused(f"market refused: slug={slug}, {error}") from None


def names_token(raw: Mapping[str, Any], token_id: str) -> bool:
    """Return whether a Gamma object names a token as one of its outcomes, by either protocol."""
    texts = (str(raw.get(name, "")) for name in ("clobTokenIds", "positionIds"))
    return any(token_id in _DIGITS.findall(text) for text in texts)


def is_resolved(raw: Mapping[str, Any]) -> bool:
    """Return whether a Gamma object's payouts are final, however little else it says."""
    return _status(raw)[0] is MarketStatus.RESOLVED


def _parse(slug: str, raw: Mapping[str, Any]) -> Market:
    generation, tokens = _generation(raw)
    outcomes = _texts(raw.get("outcomes"), "outcomes")
    if len(tokens) != 2 or len(outcomes) != 2 or tokens[0] == tokens[1]:
        raise ValueError(f"not two outcomes: outcomes={len(outcomes)}, tokens={len(tokens)}")
    order = _up_first(outcomes)
    status, payouts = _status(raw)
    fee_curve, rate_ppm, exponent = _fees(raw)
    tick = micros_of_number(raw.get("orderPriceMinTickSize"))
    if not 0 < tick < MICROS:
        raise ValueError(f"tick must be inside (0, 1): tick={tick}")
    return Market(
        slug=slug,
        condition_id=bytes32(str(raw.get("conditionId"))),
        tokens=(tokens[order[0]], tokens[order[1]]),
        outcomes=(outcomes[order[0]], outcomes[order[1]]),
        generation=generation,
        neg_risk=raw.get("negRisk") is True,
        fee_curve=fee_curve,
        fee_rate_ppm=rate_ppm,
        fee_exponent=exponent,
        tick=tick,
        min_size_cents=_min_size_cents(raw),
        open_s=_seconds(raw, "eventStartTime", "gameStartTime", "startDate"),
        close_s=_seconds(raw, "endDate"),
        status=status,
        payouts=tuple(payouts[k] for k in order) if payouts else (),
    )


def _generation(raw: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Return the order protocol (2 or 3) and the token ids that go with it.

    `version` decides, absent means v1; the ids must agree: bits 40..103 are zero in a protocol V2
    id and only there.
    """
    version = raw.get("version") or "v1"
    if version not in ("v1", "v2"):
        raise ValueError(f"unknown protocol: version={version!r:.40}")
    tokens = _texts(raw.get("positionIds" if version == "v2" else "clobTokenIds"), "token ids")
    for token_id in tokens:
        if (token_number(token_id) & PROTOCOL_V2_ZERO_BITS == 0) != (version == "v2"):
            raise ValueError(f"token id contradicts version: version={version}, token={token_id}")
    return (3 if version == "v2" else 2), tokens


def _texts(value: Any, name: str) -> list[str]:
    """Return a list of strings, which Gamma may have wrapped into a string once more."""
    if isinstance(value, str):
        value = msgspec.json.decode(value)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"not a list of texts: {name}")
    return value


def _up_first(outcomes: list[str]) -> tuple[int, int]:
    """Return the order that puts Up (or Yes) first; other names stay as the venue lists them."""
    first, second = outcomes[0].lower(), outcomes[1].lower()
    return (1, 0) if first in DOWN_NAMES and second in UP_NAMES else (0, 1)


def _status(raw: Mapping[str, Any]) -> tuple[MarketStatus, tuple[int, ...]]:
    """Return what may be done, and the payouts in the order of the outcomes once they are final."""
    if raw.get("closed") is True:
        payouts = _payouts(raw)
        return (MarketStatus.RESOLVED if payouts else MarketStatus.CLOSED), payouts
    if raw.get("acceptingOrders") is True:
        return MarketStatus.OPEN, ()
    return MarketStatus.UNKNOWN, ()


def _payouts(raw: Mapping[str, Any]) -> tuple[int, ...]:
    """Return whole payouts that add up to one; prices that are still quotes are none."""
    is_final = (
        raw.get("automaticallyResolved") is True
        or raw.get("umaResolutionStatus") == "resolved"
        or raw.get("resolutionStatus") == "resolved"
    )
    if not is_final:
        return ()
    try:
        prices = tuple(
            micros_of_number(each) for each in _texts(raw.get("outcomePrices"), "outcomePrices")
        )
    except ValueError:
        return ()
    is_whole = len(prices) == 2 and sum(prices) == MICROS
    return prices if is_whole and all(each in WHOLE_PAYOUTS for each in prices) else ()


def _fees(raw: Mapping[str, Any]) -> tuple[FeeCurve, int, int]:
    """Return (curve, rate in ppm, exponent); anything unclear is UNKNOWN, which forbids taking."""
    if raw.get("feesEnabled") is False:
        return FeeCurve.FREE, 0, 1
    schedule = raw.get("feeSchedule")
    if not isinstance(schedule, Mapping) or schedule.get("takerOnly", True) is not True:
        return FeeCurve.UNKNOWN, 0, 1
    try:
        rate_ppm = micros_of_number(schedule.get("rate"))
    except ValueError:
        return FeeCurve.UNKNOWN, 0, 1
    exponent = schedule.get("exponent")
    if exponent not in FEE_EXPONENTS or rate_ppm > MICROS:
        return FeeCurve.UNKNOWN, 0, 1
    return FeeCurve.V2, rate_ppm, int(exponent)


def _min_size_cents(raw: Mapping[str, Any]) -> int:
    """Return the smallest order in hundredths of a share, rounded up."""
    cents = -(-micros_of_number(raw.get("orderMinSize")) // 10_000)
    if cents > UINT32_MAX:
        raise ValueError(f"smallest order out of range: cents={cents}")
    return cents


def _seconds(raw: Mapping[str, Any], *names: str) -> int:
    """Return the first of some dates as epoch seconds, 0 if there is none.

    Gamma writes both "2026-03-12T09:25:00Z" and "2026-07-24 00:00:16+00".
    """
    for name in names:
        text = raw.get(name)
        if not text:
            continue
        moment = datetime.fromisoformat(str(text))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = int(moment.timestamp())
        if not 0 <= seconds <= UINT32_MAX:
            raise ValueError(f"date out of range: {name}={text!r:.40}")
        return seconds
    return 0
