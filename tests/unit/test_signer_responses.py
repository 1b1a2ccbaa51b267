"""The meaning of every documented answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.wire.codes import OrderStatus, Reason
from signer.http import Answer, Outcome
from signer.responses import (
    Fate,
    Verdict,
    classify_cancel,
    classify_look_up,
    classify_order,
    is_gone,
    is_held,
    micros_of,
)

HASH = bytes(range(32))
ORDER_ID = "0x" + HASH.hex()


def answered(status: int, content: Any) -> Answer:
    """An answer with a JSON body, or with these bytes."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Answer(Outcome.ANSWERED, status, body, 1, 2)


def accepted(**changes: Any) -> dict[str, Any]:
    """The success body of `POST /order`."""
    return {
        "success": True,
        "errorMsg": "",
        "orderID": ORDER_ID,
        "status": "live",
        "makingAmount": "",
        "takingAmount": "",
    } | changes


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict(Fate.ACCEPTED, Reason.OK, OrderStatus.LIVE)),
        ({"status": "delayed"}, Verdict(Fate.ACCEPTED, Reason.OK, OrderStatus.DELAYED)),
        ({"status": "unmatched"}, Verdict(Fate.ACCEPTED, Reason.OK, OrderStatus.UNMATCHED)),
        (
            {"status": "matched", "makingAmount": "1.5", "takingAmount": "3"},
            Verdict(Fate.ACCEPTED, Reason.OK, OrderStatus.MATCHED, 1_500_000, 3_000_000),
        ),
        ({"orderID": ORDER_ID.upper().replace("0X", "0x")}, Verdict(Fate.ACCEPTED, 0, 1)),
        ({"status": "matched"}, Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        ({"status": "sleeping"}, Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        ({"makingAmount": "lots"}, Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        ({"orderID": "0x" + "11" * 32}, Verdict(Fate.UNKNOWN, Reason.HALT_HASH_MISMATCH)),
        ({"orderID": ""}, Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        ({"orderID": None}, Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        (
            {"orderID": "", "status": "matched", "makingAmount": "1.5", "takingAmount": "3"},
            Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        ),
        ({"errorMsg": "not enough balance / allowance"}, Verdict(1, Reason.VENUE_BALANCE)),
        ({"success": False}, Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        ({"errorMsg": "something new"}, Verdict(Fate.UNKNOWN, Reason.VENUE_REJECTED)),
    ],
)
def test_a_success_is_one_only_if_everything_fits(
    changes: dict[str, Any], verdict: Verdict
) -> None:
    """Id, status and amounts must be readable; `success: true` with an error is a refusal."""
    assert classify_order(answered(200, accepted(**changes)), HASH) == verdict


REFUSALS = [
    ("order 0x1 is invalid. Price (0.5) breaks minimum tick size rule: 0.1", Reason.VENUE_TICK),
    ("order 0x1 is invalid. Size (1) lower than the minimum: 5", Reason.VENUE_MIN_SIZE),
    ("invalid amount for a marketable BUY order ($0.5), min size: $1", Reason.VENUE_MIN_SIZE),
    ("not enough balance / allowance", Reason.VENUE_BALANCE),
    ("the allowance is not enough -> spender: 0x1", Reason.VENUE_BALANCE),
    ("invalid expiration", Reason.VENUE_EXPIRATION),
    ("invalid post-only order: order crosses book", Reason.VENUE_POST_ONLY_CROSSES),
    ("order 0x1 crosses the book", Reason.VENUE_POST_ONLY_CROSSES),
    (
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        Reason.VENUE_KILLED,
    ),
    ("no orders found to match with FAK order.", Reason.VENUE_KILLED),
    ("the market is not yet ready to process new orders", Reason.VENUE_NOT_READY),
    ("the order owner has to be the owner of the API KEY", Reason.VENUE_AUTH),
    ("maker address not allowed, please use the deposit wallet flow", Reason.VENUE_AUTH),
    ("'0x1' address banned", Reason.VENUE_BANNED),
    ("'0x1' address in closed only mode", Reason.VENUE_CLOSED_ONLY),
    ("invalid amounts, the market buy orders maker amount supports", Reason.VENUE_AMOUNTS),
    ("invalid signature", Reason.VENUE_SIGNATURE),
    ("Rate limit exceeded for tokenId: 1", Reason.VENUE_RATE),
    ("Invalid order payload", Reason.VENUE_REJECTED),
    ("invalid nonce", Reason.VENUE_REJECTED),
    ("the orderbook 123 does not exist", Reason.VENUE_NOT_FOUND),
    ("Too many orders in payload: 16, max allowed: 15", Reason.VENUE_REJECTED),
    ("invalid post-only order: only GTC and GTD order types are allowed", Reason.VENUE_REJECTED),
]


@pytest.mark.parametrize(("message", "reason"), REFUSALS)
def test_each_documented_refusal_has_its_reason(message: str, reason: Reason) -> None:
    """As HTTP 400 and as 200 with `errorMsg` alike."""
    verdict = Verdict(Fate.REFUSED, reason)
    assert classify_order(answered(400, {"error": message}), HASH) == verdict
    assert classify_order(answered(200, accepted(errorMsg=message)), HASH) == verdict


@pytest.mark.parametrize(
    "message",
    [
        "could not insert order",
        "could not run the execution",
        "error delaying the order",
        "order match delayed due to market conditions",
        "context canceled",
        "order 0x1 is invalid. Duplicated.",
        "order already exists",
        "rpc error: context deadline exceeded",
        "request timeout",
        "upstream timed out",
        "internal error",
        "order_version_mismatch",
        "there are no matching orders",
        "something new",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 404, 422, 500])
def test_texts_that_prove_nothing_are_unknown_under_any_status(message: str, status: int) -> None:
    """The order may be live: it has to be looked up."""
    content = accepted(errorMsg=message) if status == 200 else {"error": message}
    assert classify_order(answered(status, content), HASH).fate == Fate.UNKNOWN


@pytest.mark.parametrize(
    ("status", "content", "fate", "reason"),
    [
        (401, {"error": "Unauthorized/Invalid api key"}, Fate.REFUSED, Reason.VENUE_AUTH),
        (403, b"<html>", Fate.REFUSED, Reason.VENUE_BANNED),
        (404, {"error": "market not found"}, Fate.REFUSED, Reason.VENUE_NOT_FOUND),
        (404, b"<html>404 Not Found</html>", Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (400, b"", Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (400, b"<html>", Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (400, {"message": "bad"}, Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (401, b"", Fate.REFUSED, Reason.VENUE_AUTH),
        (413, b"<html>", Fate.REFUSED, Reason.VENUE_REJECTED),
        (415, b"", Fate.REFUSED, Reason.VENUE_REJECTED),
        (429, {"error": "internal timeout"}, Fate.UNKNOWN, Reason.VENUE_ERROR),
        (400, {"error": "order_version_mismatch"}, Fate.UNKNOWN, Reason.VENUE_VERSION),
        (408, b"", Fate.UNKNOWN, Reason.VENUE_ERROR),
        (425, {"error": "service not ready"}, Fate.REFUSED, Reason.VENUE_RESTARTING),
        (425, b"", Fate.REFUSED, Reason.VENUE_RESTARTING),
        (429, b"<html>Too Many Requests</html>", Fate.REFUSED, Reason.VENUE_RATE),
        (500, {"error": "there are no matching orders"}, Fate.UNKNOWN, Reason.VENUE_ERROR),
        (502, b"<html>", Fate.UNKNOWN, Reason.VENUE_ERROR),
        (503, {"error": "trading is disabled"}, Fate.REFUSED, Reason.VENUE_DISABLED),
        (
            503,
            {"error": "Trading is currently disabled. Check polymarket.com for updates"},
            Fate.REFUSED,
            Reason.VENUE_DISABLED,
        ),
        (
            503,
            {"error": "Trading is currently cancel-only. New orders are not accepted"},
            Fate.REFUSED,
            Reason.VENUE_CANCEL_ONLY,
        ),
        (503, {"code": "post_only_mode"}, Fate.REFUSED, Reason.VENUE_POST_ONLY_MODE),
        (
            503,
            {"code": "post_only_mode", "retry_after_seconds": -1},
            Fate.REFUSED,
            Reason.VENUE_POST_ONLY_MODE,
        ),
        (503, b"upstream", Fate.UNKNOWN, Reason.VENUE_ERROR),
        (301, b"", Fate.UNKNOWN, Reason.VENUE_ERROR),
        (302, b"", Fate.UNKNOWN, Reason.VENUE_ERROR),
        (303, b"", Fate.UNKNOWN, Reason.VENUE_ERROR),
        (307, {"error": "invalid signature"}, Fate.UNKNOWN, Reason.VENUE_ERROR),
        (308, b"", Fate.UNKNOWN, Reason.VENUE_ERROR),
        (200, {}, Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (200, {"foo": 1}, Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (200, {"message": "not enough balance"}, Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (200, b"not json", Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (200, b"[]", Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        (200, b'{"success":NaN}', Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
    ],
)
def test_each_status_has_its_fate(status: int, content: Any, fate: Fate, reason: Reason) -> None:
    """A status given at the door refuses; any other needs a text that is known to refuse."""
    assert classify_order(answered(status, content), HASH) == Verdict(fate, reason)


def test_a_closed_venue_says_how_long() -> None:
    """`retry_after_seconds` of the body is kept for whoever waits."""
    content = {"error": "post-only mode: only post-only orders", "code": "post_only_mode"}
    verdict = classify_order(answered(503, content | {"retry_after_seconds": 95}), HASH)
    assert verdict == Verdict(Fate.REFUSED, Reason.VENUE_POST_ONLY_MODE, retry_s=95)


@pytest.mark.parametrize(
    ("outcome", "fate", "reason"),
    [
        (Outcome.NOT_SENT, Fate.REFUSED, Reason.NO_CONNECTION),
        (Outcome.TIMEOUT, Fate.UNKNOWN, Reason.TIMEOUT),
        (Outcome.CONNECTION_LOST, Fate.UNKNOWN, Reason.CONNECTION_LOST),
        (Outcome.UNREADABLE, Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
    ],
)
def test_only_what_never_left_is_refused_by_the_transport(
    outcome: Outcome, fate: Fate, reason: Reason
) -> None:
    """Every other failure may have reached the venue."""
    assert classify_order(Answer(outcome, 0, b"", 0, 1), HASH) == Verdict(fate, reason)


@pytest.mark.parametrize(
    ("status", "content", "verdict"),
    [
        (404, {"error": "Order not found"}, Verdict(Fate.REFUSED, Reason.VENUE_NOT_FOUND)),
        (200, b"null", Verdict(Fate.REFUSED, Reason.VENUE_NOT_FOUND)),
        (404, b"<html>404 Not Found</html>", Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)),
        (404, b"", Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)),
        (404, {"message": "no Route matched"}, Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)),
        (200, b"", Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        (200, b"{}", Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        (
            200,
            {"id": ORDER_ID, "status": "CANCELED"},
            Verdict(Fate.ENDED, Reason.CANCELED, OrderStatus.CANCELED, matched=-1),
        ),
        (
            200,
            {"id": ORDER_ID, "status": "CANCELED_order couldn't be filled", "size_matched": ""},
            Verdict(Fate.ENDED, Reason.CANCELED, OrderStatus.CANCELED, matched=-1),
        ),
        (200, {"id": ORDER_ID, "status": "MATCHED"}, Verdict(2, Reason.UNREADABLE_ANSWER)),
        (
            200,
            {"id": "0x" + "11" * 32, "status": "CANCELED", "size_matched": "0"},
            Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER),
        ),
        (
            200,
            {"id": ORDER_ID, "status": "CANCELED", "size_matched": 0},
            Verdict(Fate.ENDED, Reason.CANCELED, OrderStatus.CANCELED, matched=0),
        ),
        (500, b"", Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)),
        (429, b"", Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)),
        (200, b"[", Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)),
        (200, {"id": "0x22", "status": "LIVE"}, Verdict(2, Reason.UNREADABLE_ANSWER)),
        (
            200,
            {"id": ORDER_ID, "status": "LIVE", "size_matched": "1.25"},
            Verdict(Fate.ACCEPTED, Reason.OK, OrderStatus.LIVE, matched=1_250_000),
        ),
        (
            200,
            {"id": ORDER_ID, "status": "ORDER_STATUS_MATCHED", "size_matched": "5"},
            Verdict(Fate.ACCEPTED, Reason.OK, OrderStatus.MATCHED, matched=5_000_000),
        ),
        (
            200,
            {"id": ORDER_ID, "status": "CANCELED", "size_matched": "2"},
            Verdict(Fate.ENDED, Reason.CANCELED, OrderStatus.CANCELED, matched=2_000_000),
        ),
        (
            200,
            {"id": ORDER_ID, "status": "CANCELED_MARKET_RESOLVED", "size_matched": "0"},
            Verdict(Fate.ENDED, Reason.MARKET_RESOLVED, OrderStatus.CANCELED, matched=0),
        ),
        (
            200,
            {"id": ORDER_ID, "status": "INVALID", "size_matched": "0"},
            Verdict(Fate.REFUSED, Reason.VENUE_REJECTED, OrderStatus.INVALID),
        ),
    ],
)
def test_a_look_up_is_evidence_only_about_the_order_asked_for(
    status: int, content: Any, verdict: Verdict
) -> None:
    """Found, ended, not found, or nothing learnt."""
    assert classify_look_up(answered(status, content), HASH) == verdict


def test_a_cancel_answer_lists_what_is_over_and_what_is_not() -> None:
    """Hashes compare in lower case without 0x; whatever has no list of them is no answer."""
    content = {"canceled": [ORDER_ID.upper()], "not_canceled": {"0xAB": "Order already matched"}}
    verdict = classify_cancel(answered(200, content))
    assert verdict.is_final
    assert verdict.canceled == (HASH.hex(),)
    assert verdict.refused == {"ab": "order already matched"}
    for answer in (
        answered(200, {"canceled": 5}),
        answered(200, {"canceled": [], "not_canceled": []} | {"not_canceled": [1]}),
        answered(200, {"error": "could not cancel"}),
        answered(200, {"not_canceled": {}}),
        answered(200, b"[]"),
        answered(200, b"{}"),
        answered(503, {"error": "trading is disabled"}),
        Answer(Outcome.TIMEOUT, 0, b"", 1, 2),
    ):
        assert not classify_cancel(answer).is_final


def test_a_cancel_answer_that_contradicts_itself_says_nothing_of_that_order() -> None:
    """A hash in both lists, or a member that is no hash, is in neither list."""
    content = {"canceled": [ORDER_ID, 5, None, "0x22"], "not_canceled": {ORDER_ID: "not found"}}
    verdict = classify_cancel(answered(200, content))
    assert verdict.is_final
    assert verdict.canceled == ("22",)
    assert verdict.refused == {}


@pytest.mark.parametrize(
    ("why", "held", "gone"),
    [
        ("order not found or already canceled", False, True),
        ("order already matched", False, True),
        ("cannot cancel because the order is in pending/delayed status", True, False),
        ("internal error", False, False),
        ("", False, False),
    ],
)
def test_only_known_words_say_that_there_is_nothing_to_cancel(
    why: str, held: bool, gone: bool
) -> None:
    """Any other refusal of a cancel proves nothing."""
    assert (is_held(why), is_gone(why)) == (held, gone)


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("19.2307", 19_230_700),
        ("0.0000019", 1),
        ("", 0),
        (None, 0),
        (7, 7_000_000),
        (1.5, 1_500_000),
        ("-1", None),
        ("1e6", None),
        (".5", None),
        ("1.2.3", None),
        (True, None),
        ([], None),
        ("9" * 41, None),
        ("9" * 30, None),
    ],
)
def test_amounts_are_read_exactly_or_not_at_all(value: Any, micros: int | None) -> None:
    """Human decimals become micros, rounded down; nothing else is a number."""
    assert micros_of(value) == micros
