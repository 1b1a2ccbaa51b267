"""Recorded messages of the user channel to ORDER_STATE and FILL records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feeds_support import registry

from engine.host.secrets import Account, ApiCredentials
from engine.wire.codes import Flag, Kind, Liquidity, OrderStatus, Settlement, Side, Source
from engine.wire.records import typed
from feeds.port import MalformedFrame
from feeds.user_frames import UserDecoder

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
    """Legs found by our address, each with its own order, price and number."""
    message = _recorded(shared_dir, "clob_ws_fixtures/nautilus/user_trade4.json")
    address = message["maker_orders"][0]["maker_address"].lower()
    rows = _read(message, message["asset_id"], account=_account("none", address))
    records = typed(rows, Kind.FILL)
    assert records["price"].tolist() == [400_000, 300_000]
    assert records["leg"].tolist() == [0, 1]
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


def test_settlement_only_rises():
    """Repeats and late-comers are not told; a state may be skipped."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    told = _told(decoder, "MINED", "MATCHED", "MINED", "RETRYING", "CONFIRMED", "MINED")
    assert told == [Settlement.MINED, Settlement.CONFIRMED]


def test_failure_is_always_told_once():
    """FAILED comes after any other state, and nothing comes after it."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    told = _told(decoder, "MATCHED", "RETRYING", "FAILED", "FAILED", "CONFIRMED")
    assert told == [Settlement.MATCHED, Settlement.RETRYING, Settlement.FAILED]


@pytest.mark.parametrize(
    ("status", "settlement"),
    [
        ("TRADE_STATUS_CONFIRMED", Settlement.CONFIRMED),
        ("MATCHED_NOT_BROADCASTED", Settlement.MATCHED),
        ("FAILED: reverted", Settlement.FAILED),
        ("SOMETHING_NEW", Settlement.MATCHED),
    ],
)
def test_settlement_is_read_by_prefix(status, settlement):
    """REST's prefix, free text, and a state nobody knows: a fill is never ignored."""
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
        json.dumps([_trade("MATCHED"), {"event_type": "trade"}]).encode(),
    ],
)
def test_bad_messages_are_refused_whole(frame):
    """Nothing is taken of a message any part of which makes no sense, and it is not remembered."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    with pytest.raises(MalformedFrame):
        decoder.decode(frame, LOCAL_NS)
    assert _told(decoder, "MATCHED") == [Settlement.MATCHED]


def test_unknown_events_are_counted():
    """A message of a kind nobody told us about is no error."""
    decoder = UserDecoder(registry(("256", "1")), _account("k"))
    news = decoder.decode(b'[{"event_type":"weather"},{}]', LOCAL_NS)
    assert (len(news.rows), news.unknown_events) == (0, 2)
