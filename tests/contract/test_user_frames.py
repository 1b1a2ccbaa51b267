"""Recorded messages of the user channel to ORDER_STATE and FILL records."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feeds_support import DOWN, UP, registry

from engine.host.secrets import Account, ApiCredentials
from engine.wire.codes import Flag, Kind, Liquidity, OrderStatus, Settlement, Side, Source
from engine.wire.records import typed
from feeds.port import MalformedFrame
from feeds.user_frames import News, UserDecoder

LOCAL_NS = 1_800_000_000_000_000_000
NOBODY = "0x" + "00" * 20


def _account(key: str, address: str = "0x" + "99" * 20) -> Account:
    return Account(address=address, funder=address, api=ApiCredentials(key, "c2VjcmV0", "pass"))


def _recorded(shared_dir: Path, name: str) -> dict[str, Any]:
    return json.loads((shared_dir / "recordings" / name).read_text())


def _read(message: dict[str, Any], *tokens: str, account: Account) -> np.ndarray:
    up, down = [*tokens, "1"][:2]
    decoder = UserDecoder(registry((up, down)), account)
    return decoder.decode(json.dumps(message).encode(), LOCAL_NS).records()


def test_our_placement_is_an_order_state(shared_dir: Path):
    """A recorded placement gives hash, price, size and LIVE, by the token's instrument."""
    message = _recorded(shared_dir, "clob_ws_fixtures/nautilus/order_placement.json")
    rows = _read(message, message["asset_id"], account=_account(message["owner"]))
    (record,) = typed(rows, Kind.ORDER_STATE)
    assert record["kind"] == Kind.ORDER_STATE
    assert record["order_hash"].tobytes().hex() == message["id"][2:]
    assert (record["price"], record["size"], record["matched"]) == (513_000, 5_000_000, 0)
    assert (record["status"], record["side"]) == (OrderStatus.LIVE, Side.BUY)
    assert (record["instrument"], record["source"]) == (1, Source.CLOB_USER)
    assert record["venue_ns"] == 1_725_842_520_990_000_000
    assert record["local_ns"] == LOCAL_NS


@pytest.mark.parametrize(
    ("name", "status", "matched"),
    [("placement", OrderStatus.LIVE, 0), ("update", OrderStatus.MATCHED, 5_000_000)],
)
def test_order_messages_without_event_type_are_read(shared_dir: Path, name, status, matched):
    """Messages that say only PLACEMENT or UPDATE are orders too, with numbers for stamps."""
    message = _recorded(shared_dir, f"user_ws/polypy/test_order_info_maker_buy_{name}.json")
    rows = _read(message, message["asset_id"], account=_account("any"))
    (record,) = typed(rows, Kind.ORDER_STATE)
    assert (record["status"], record["matched"]) == (status, matched)


def test_our_maker_leg_may_be_the_other_token(shared_dir: Path):
    """A trade told for one token fills our resting order of the other one, at the leg's price."""
    message = _recorded(shared_dir, "user_ws/polypy/test_trade_info_maker_buy_matched.json")
    leg = message["maker_orders"][0]
    assert leg["asset_id"] != message["asset_id"]
    tokens = message["asset_id"], leg["asset_id"]
    rows = _read(message, *tokens, account=_account(leg["owner"]))
    (record,) = typed(rows, Kind.FILL)
    assert (record["kind"], record["instrument"]) == (Kind.FILL, 2)
    assert (record["price"], record["size"]) == (600_000, 5_000_000)
    assert (record["side"], record["liquidity"]) == (Side.BUY, Liquidity.MAKER)
    assert (record["settlement"], record["fee"]) == (Settlement.MATCHED, 0)
    assert record["order_hash"].tobytes().hex() == leg["order_id"][2:]
    assert record["trade_id"].tobytes().hex() == message["id"].replace("-", "")


def test_only_our_legs_of_a_trade_are_ours(shared_dir: Path):
    """Of six recorded makers one is ours; a leg without a side is opposite to the taker."""
    message = _recorded(shared_dir, "clob_ws_fixtures/nautilus/user_trade1.json")
    ours = message["maker_orders"][3]
    rows = _read(message, message["asset_id"], account=_account(ours["owner"]))
    (record,) = typed(rows, Kind.FILL)
    assert record["order_hash"].tobytes().hex() == ours["order_id"][2:]
    assert (record["size"], record["side"]) == (5_000_000, Side.SELL)
    assert record["settlement"] == Settlement.MINED


def test_two_orders_of_ours_in_one_trade_are_two_fills(shared_dir: Path):
    """Legs found by our address, each with its own order and price; each its order's first leg."""
    message = _recorded(shared_dir, "clob_ws_fixtures/nautilus/user_trade4.json")
    address = message["maker_orders"][0]["maker_address"].lower()
    rows = _read(message, message["asset_id"], account=_account("none", address))
    records = typed(rows, Kind.FILL)
    assert records["price"].tolist() == [400_000, 300_000]
    assert records["leg"].tolist() == [0, 0]
    assert records["settlement"].tolist() == [Settlement.CONFIRMED] * 2
    assert records["side"].tolist() == [Side.BUY] * 2


def test_taker_fill_is_told_at_the_top(shared_dir: Path):
    """As taker we get the top level's price and size; the fee is left for the core to compute."""
    message = _recorded(shared_dir, "user_ws/jkorf_trade_update.json")
    message["taker_order_id"] = "0x" + "12" * 32  # the recording shortened it
    rows = _read(message, message["asset_id"], account=_account(message["trade_owner"]))
    (record,) = typed(rows, Kind.FILL)
    assert (record["price"], record["size"]) == (3_000, 1_666_666_666)
    assert (record["liquidity"], record["fee"]) == (Liquidity.TAKER, -1)
    assert record["venue_ns"] == 1_768_831_171_362_000_000


def test_an_id_that_is_no_hash_is_refused(shared_dir: Path):
    """A shortened order id cannot be matched with any order of ours: nothing of it is taken."""
    message = _recorded(shared_dir, "user_ws/jkorf_trade_update.json")
    with pytest.raises(MalformedFrame, match="0x12"):
        _read(message, message["asset_id"], account=_account("any"))


def test_killed_order_is_canceled_by_its_free_text(shared_dir: Path):
    """The venue's sentence behind CANCELED is matched by prefix, an empty size is nothing new."""
    message = _recorded(shared_dir, "clob_ws_fixtures/nautilus/ws_user_order_fok_killed.json")
    message["id"] = "0x" + "78" * 32  # the recording shortened it
    rows = _read(message, "256", account=_account("any"))
    (record,) = typed(rows, Kind.ORDER_STATE)
    assert (record["status"], record["matched"]) == (OrderStatus.CANCELED, 0)
    assert record["size"] == 12_000_000


def _trade(status: str, trade_id: str = "83b5c849-620e-4c23-b63b-2e779c04a6e7") -> dict[str, Any]:
    return {
        "event_type": "trade",
        "id": trade_id,
        "taker_order_id": "0x" + "ab" * 32,
        "asset_id": "256",
        "side": "BUY",
        "size": "10",
        "price": "0.4",
        "status": status,
        "trader_side": "TAKER",
        "match_time": "1725868859",
        "timestamp": "1725868885871",
    }


def _told(decoder: UserDecoder, *statuses: str) -> list[Settlement]:
    told: list[Settlement] = []
    for status in statuses:
        rows = decoder.decode(json.dumps(_trade(status)).encode(), LOCAL_NS).records()
        told += [Settlement(int(record["settlement"])) for record in typed(rows, Kind.FILL)]
    return told


def test_each_settlement_is_told_once_in_whatever_order():
    """Late-comers are told as they come, repeats are not: the core knows which is the highest."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    told = _told(decoder, "MINED", "MATCHED", "MINED", "CONFIRMED", "MATCHED", "MINED")
    assert told == [Settlement.MINED, Settlement.MATCHED, Settlement.CONFIRMED]


@pytest.mark.parametrize("before", [[], ["MATCHED", "RETRYING"], ["CONFIRMED"]])
@pytest.mark.parametrize("after", [[], ["CONFIRMED"], ["MATCHED", "MINED"]])
def test_failure_is_told_once_wherever_it_comes(before, after):
    """FAILED is told first, last and between others, and a second time never."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    told = _told(decoder, *before, "FAILED", "FAILED", *after, "FAILED")
    assert told.count(Settlement.FAILED) == 1
    assert told[len(before)] == Settlement.FAILED


@pytest.mark.parametrize(
    ("status", "settlement"),
    [
        ("TRADE_STATUS_CONFIRMED", Settlement.CONFIRMED),
        ("MATCHED_NOT_BROADCASTED", Settlement.MATCHED),
        ("FAILED: reverted", Settlement.FAILED),
        ("SOMETHING_NEW", Settlement.UNKNOWN),
    ],
)
def test_settlement_is_read_by_prefix(status, settlement):
    """REST's prefix, free text, and a word that is not known: told as that, and not as MATCHED."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    assert _told(decoder, status) == [settlement]


def test_stream_and_read_back_tell_a_fill_once():
    """The same trade by REST is told only if it has settled further, flagged as read back."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    assert _told(decoder, "MATCHED") == [Settlement.MATCHED]
    again = decoder.read_back([], [_trade("TRADE_STATUS_MATCHED")], LOCAL_NS)
    assert (len(again.rows), again.duplicates) == (0, 1)
    later = decoder.read_back([], [_trade("TRADE_STATUS_MINED")], LOCAL_NS).records()
    (record,) = typed(later, Kind.FILL)
    assert record["settlement"] == Settlement.MINED
    assert (record["flags"], record["source"]) == (Flag.SNAPSHOT, Source.CLOB_PRIVATE)


def test_trades_of_unknown_tokens_are_told_once_they_are_known():
    """A fill in a market not yet discovered is counted as foreign and not remembered as told."""
    instruments = registry()
    decoder = UserDecoder(instruments, _account("k"))
    news = decoder.decode(json.dumps(_trade("MATCHED")).encode(), LOCAL_NS)
    assert (len(news.rows), news.foreign) == (0, 1)
    known = UserDecoder(registry(("256", "1")), _account("k"))
    decoder._instruments = known._instruments
    assert len(decoder.read_back([], [_trade("MATCHED")], LOCAL_NS).rows) == 1


def test_a_trade_without_our_part_asks_for_reading_back():
    """As maker without maker_orders, only REST can tell what we sold."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    news = decoder.decode(
        json.dumps({**_trade("MATCHED"), "trader_side": "MAKER"}).encode(), LOCAL_NS
    )
    assert (len(news.rows), news.partless) == (0, 1)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{}x",
        b"\xff\xfe",
        b'{"event_type":"trade"}',
        b'{"event_type":"order","id":"0x00"}',
        json.dumps({**_trade("MATCHED"), "price": "NaN"}).encode(),
        json.dumps({**_trade("MATCHED"), "size": "1e999"}).encode(),
        json.dumps({**_trade("MATCHED"), "size": "-1"}).encode(),
        json.dumps({**_trade("MATCHED"), "price": "1.01"}).encode(),
        json.dumps({**_trade("MATCHED"), "asset_id": str(1 << 256)}).encode(),
        json.dumps({**_trade("MATCHED"), "side": "HOLD"}).encode(),
        json.dumps({**_trade("MATCHED"), "taker_order_id": "ab" * 32}).encode(),
        json.dumps({**_trade("MATCHED"), "taker_order_id": "0x" + "ab" * 31}).encode(),
        json.dumps({**_trade("MATCHED"), "taker_order_id": "0x" + "ab " * 21 + "a"}).encode(),
        b"[" + json.dumps(_trade("MATCHED")).encode() + b",{]",
        json.dumps({**_trade("MATCHED"), "timestamp": "9999999999999"}).encode(),
        json.dumps({**_trade("MATCHED"), "match_time": "9999999999"}).encode(),
        json.dumps({**_trade("MATCHED"), "match_time": int("9" * 400)}).encode(),
    ],
)
def test_bad_messages_are_refused(frame):
    """Nothing is taken of a message in which nothing makes sense, and it is not remembered."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    with pytest.raises(MalformedFrame):
        decoder.decode(frame, LOCAL_NS)
    assert _told(decoder, "MATCHED") == [Settlement.MATCHED]


def test_unknown_events_are_counted():
    """A message of a kind nobody told us about is no error."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    news = decoder.decode(b'[{"event_type":"weather"},{}]', LOCAL_NS)
    assert (len(news.rows), news.unknown_events) == (0, 2)


OURS = "00000000-0000-0000-0000-000000000001"


def _maker_trade(*legs: tuple[int, str, str], **over: Any) -> dict[str, Any]:
    """Return a trade that fills our orders; legs as (order, size, price)."""
    makers = [
        {
            "order_id": f"0x{order:064x}",
            "owner": OURS,
            "maker_address": NOBODY,
            "matched_amount": size,
            "price": price,
            "asset_id": "256",
            "side": "SELL",
        }
        for order, size, price in legs
    ]
    return {**_trade("MATCHED"), "trader_side": "MAKER", "maker_orders": makers, **over}


def _fills(decoder: UserDecoder, *messages: Any) -> list[tuple[int, int, int, int]]:
    """Return what is told of messages, one frame each: order, leg, price and size of every fill."""
    told = []
    for message in messages:
        rows = decoder.decode(json.dumps(message).encode(), LOCAL_NS).records()
        told += [
            (r["order_hash"].tobytes()[-1], int(r["leg"]), int(r["price"]), int(r["size"]))
            for r in typed(rows, Kind.FILL)
        ]
    return told


LEGS = (1, "5", "0.4"), (2, "3", "0.4"), (2, "7", "0.4"), (2, "3", "0.3")
KEYS = {(1, 0), (2, 0), (2, 1), (2, 2)}


@pytest.mark.parametrize("order", [*permutations(range(len(LEGS)))])
def test_a_leg_has_one_key_in_whatever_order_it_is_listed(order):
    """Two orders of ours in one trade, one of them three times over: no list can book one twice."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    first = _fills(decoder, _maker_trade(*LEGS))
    again = _fills(decoder, _maker_trade(*(LEGS[k] for k in order)))
    assert {fill[:2] for fill in first} == KEYS
    assert again == []


def test_legs_that_come_one_at_a_time_are_the_same_legs():
    """One frame for each order, then the whole trade read back: each fill is told once."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    first, second = (1, "5", "0.4"), (2, "3", "0.4")
    told = _fills(decoder, _maker_trade(second), _maker_trade(first), _maker_trade(first, second))
    assert told == [(2, 0, 400_000, 3_000_000), (1, 0, 400_000, 5_000_000)]
    assert decoder.read_back([], [_maker_trade(second, first)], LOCAL_NS).fills == 0


@pytest.mark.parametrize(
    "other",
    [(1, "6", "0.4"), (1, "5", "0.5"), (1, "0", "0.4"), (1, "5", "0")],
    ids=["size", "price", "no size", "no price"],
)
def test_a_contradiction_is_told_once_and_as_it_is(other):
    """The same leg with another size or price, zero too, reaches the core: it is to judge."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    honest = _maker_trade((1, "5", "0.4"))
    told = _fills(decoder, honest, _maker_trade(other), honest, _maker_trade(other))
    assert [fill[:2] for fill in told] == [(1, 0), (1, 0)]
    assert told[1][2:] == (int(float(other[2]) * 1e6), int(float(other[1]) * 1e6))


def test_a_venue_that_contradicts_itself_for_ever_is_not_told_for_ever():
    """Versions of one fill are bounded; a failure is still told."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    told = _fills(decoder, *(_maker_trade((1, str(size), "0.4")) for size in range(1, 200)))
    assert len(told) < 50
    assert len(_fills(decoder, _maker_trade((1, "5", "0.4"), status="FAILED"))) == 1


def _order(status: str, *, number: int = 1, **over: Any) -> dict[str, Any]:
    order = {
        "event_type": "order",
        "type": "UPDATE",
        "id": f"0x{number:064x}",
        "asset_id": "256",
        "side": "BUY",
        "price": "0.4",
        "original_size": "10",
        "size_matched": "4",
        "status": status,
    }
    return {**order, **over}


def _states(news: News) -> list[tuple[int, int, int]]:
    """Return number, status and matched size of the order states told."""
    return [
        (s["order_hash"].tobytes()[-1], int(s["status"]), int(s["matched"]))
        for s in typed(news.records(), Kind.ORDER_STATE)
    ]


def _streamed(decoder: UserDecoder, *orders: Any, local_ns: int = LOCAL_NS) -> News:
    return decoder.decode(json.dumps([*orders]).encode(), local_ns)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("MATCHED", OrderStatus.MATCHED),
        ("UNMATCHED", OrderStatus.UNMATCHED),
        ("CANCELED_order couldn't be fully filled", OrderStatus.CANCELED),
        ("CANCELED_MARKET_RESOLVED", OrderStatus.CANCELED),
        ("ORDER_STATUS_CANCELED_MARKET_RESOLVED", OrderStatus.CANCELED),
        ("cancelled", OrderStatus.CANCELED),
        ("EXPIRED", OrderStatus.CANCELED),
        ("INVALID", OrderStatus.INVALID),
    ],
)
@pytest.mark.parametrize("matched", ["4", "0", ""])
def test_every_last_word_on_an_order_is_told(word, status, matched):
    """Short of its size or with a size smaller than told before: the word counts, told once."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    _streamed(decoder, _order("LIVE"))
    last = _order(word, size_matched=matched)
    assert _states(_streamed(decoder, last, last)) == [(1, status, 4_000_000)]


def test_an_order_that_lives_after_its_end_is_told():
    """Streamed, or in a page asked for after the end was told; and its next end is told again."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    _streamed(decoder, _order("LIVE"), _order("CANCELED"))
    alive = [(1, OrderStatus.LIVE, 4_000_000)]
    assert _states(_streamed(decoder, _order("LIVE"))) == alive
    assert _states(_streamed(decoder, _order("CANCELED"))) != []
    page = [_order("LIVE")]
    news = decoder.read_back(page, [], LOCAL_NS + 9, asked_ns=LOCAL_NS + 1)
    assert _states(news) == alive
    assert typed(news.records(), Kind.ORDER_STATE)["flags"] == Flag.SNAPSHOT
    assert decoder.live_orders() == [(1).to_bytes(32, "big")]


def test_what_is_older_than_the_end_revives_no_order():
    """A page asked for before the end was told, or a streamed state the venue stamped earlier."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    end = _order("CANCELED", timestamp="1725868885871")
    _streamed(decoder, _order("LIVE"), end, local_ns=LOCAL_NS)
    news = decoder.read_back([_order("LIVE")], [], LOCAL_NS + 9, asked_ns=LOCAL_NS - 1)
    assert _states(news) == []
    assert _states(_streamed(decoder, _order("LIVE", timestamp="1725868885870"))) == []
    assert decoder.live_orders() == []


def test_an_unreadable_event_costs_only_itself():
    """The others of its frame are told; it is counted, and read-back will tell what it was."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    news = _streamed(decoder, {"event_type": "trade"}, _trade("MATCHED"), _order("LIVE"))
    assert (news.fills, news.order_states, news.unreadable) == (1, 1, 1)
    assert "id" in news.reasons[0]


def test_an_unreadable_record_costs_only_itself_when_read_back():
    """A trade without an amount and an order without a price do not hide the readable ones."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    bad = _maker_trade((7, "", "0.4"), id="f" * 32, asset_id="77")
    news = decoder.read_back(
        [_order("LIVE"), _order("LIVE", number=2, price="x"), None],
        [bad, _maker_trade((1, "5", "0.4")), 12],
        LOCAL_NS,
    )
    assert (news.fills, news.order_states, news.unreadable) == (1, 1, 4)
    assert news.foreign_tokens == {"77"}


def test_nothing_is_asked_of_records_at_which_nothing_is_at_risk():
    """Those about settled tokens alone are left out, unreadable or not."""
    decoder = UserDecoder(registry(), _account(OURS))
    trades = [_trade("MATCHED"), {**_trade("MATCHED"), "size": ""}]
    news = decoder.read_back([_order("LIVE")], trades, LOCAL_NS, settled={"256"})
    assert (news.foreign, news.unreadable, len(news.rows)) == (0, 0, 0)


def test_what_the_core_cannot_know_yet_is_not_told():
    """A record about an instrument younger than the question counts as foreign, and comes later."""
    decoder = UserDecoder(registry((UP, DOWN), ("256", "1")), _account(OURS))
    news = decoder.read_back([], [_trade("MATCHED")], LOCAL_NS, index_max=2)
    assert (news.fills, news.foreign_tokens) == (0, {"256"})
    assert decoder.read_back([], [_trade("MATCHED")], LOCAL_NS, index_max=4).fills == 1


def test_reasons_quote_no_secret_and_are_bounded():
    """A venue that writes our key into every field gets none of it into the error log."""
    decoder = UserDecoder(registry(("256", "1")), _account(OURS))
    bad = [{**_trade("MATCHED"), "size": f"{k} {OURS}"} for k in range(100)]
    news = decoder.read_back([], bad, LOCAL_NS)
    assert news.unreadable == 100
    assert 0 < len(news.reasons) < 20
    assert not any(OURS in reason for reason in news.reasons)
