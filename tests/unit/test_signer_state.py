"""What the signer knows of its orders, its instruments, its core and the venue's clock."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from engine.host.config.signing import Signer
from engine.host.duty import HEARTBEAT_NS, STATE, State, create_counters
from engine.wire.codes import Kind, MarketStatus, Reason, Side, Tif
from engine.wire.records import new, typed, words
from signer import orders as orders_module
from signer.contracts import DOMAIN_NAME
from signer.core_watch import LOOK_NS, CoreWatch
from signer.ecdsa import SigningKey
from signer.eip712 import Domain
from signer.http import Endpoint
from signer.instruments import Instruments
from signer.ladder import Ladder
from signer.order_v2 import order_from_json, order_hash
from signer.orders import Orders, OrderState, SentOrder
from signer.settings import SignerSettings
from signer.wallets import Wallet

S = 1_000_000_000


def sent(order_id: int, state: OrderState = OrderState.IN_FLIGHT) -> SentOrder:
    """An order with a hash made of its id."""
    return SentOrder(order_id, 0, order_id.to_bytes(32, "big"), 1, 2, state=state)


def test_orders_count_what_may_be_live() -> None:
    """Every change of state counts, in both directions."""
    orders = Orders()
    first, second = sent(1), sent(2, OrderState.ENDED)
    orders.add(first)
    orders.add(second)
    assert orders.open_count == 1
    orders.move(first, OrderState.LIVE)
    orders.move(second, OrderState.UNKNOWN)
    assert orders.open_count == 2
    orders.move(first, OrderState.ENDED)
    orders.move(first, OrderState.ENDED)
    assert orders.open_count == 1
    assert orders.by_hash(second.order_hash.hex()) is second
    assert list(orders.in_state(OrderState.UNKNOWN)) == [second]


def test_orders_are_bounded_and_what_is_unseen_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest that have ended make room; an order without an outcome never does."""
    monkeypatch.setattr(orders_module, "ORDERS_MAX", 16)
    orders = Orders()
    unseen = sent(1, OrderState.UNKNOWN)
    orders.add(unseen)
    for order_id in range(2, 200):
        orders.add(sent(order_id, OrderState.ENDED))
    assert orders.get(1) is unseen
    assert orders.get(2) is None
    assert orders.get(199) is not None
    assert orders.open_count == 1


def test_a_core_is_silent_only_after_it_was_ready(tmp_path: Path) -> None:
    """Starting is not silence; a stale heartbeat, a stop or a vanished file is, once each."""
    path = tmp_path / "core.counters"
    watch = CoreWatch(path, silence_ns_max=S)
    now_ns = 100 * S

    def look() -> bool:
        nonlocal now_ns
        now_ns += LOOK_NS
        return watch.look(now_ns)

    assert not look(), "there is no core yet"
    core = create_counters(path)
    assert not look(), "it is starting"
    core.set(STATE, State.READY)
    core.set(HEARTBEAT_NS, now_ns)
    assert not look()
    now_ns += 2 * S
    assert look()
    assert watch.is_silent
    assert not look(), "said once"
    core.close()
    core = create_counters(path)  # the core is started again
    core.set(STATE, State.READY)
    core.set(HEARTBEAT_NS, now_ns)
    assert not look()
    assert not watch.is_silent
    core.set(STATE, State.STOPPED)
    assert look()
    watch.close()
    core.close()


def test_a_core_whose_counters_were_cut_is_silent(tmp_path: Path) -> None:
    """It may be well, but nobody can tell: what it has ordered is cancelled, and nobody dies."""
    path = tmp_path / "core.counters"
    watch, core = CoreWatch(path, silence_ns_max=S), create_counters(path)
    core.set(STATE, State.READY)
    core.set(HEARTBEAT_NS, S)
    assert not watch.look(S)
    os.truncate(path, path.stat().st_size // 2)
    assert watch.look(S + LOOK_NS)
    assert watch.is_silent
    watch.close()


@pytest.mark.parametrize(
    ("url", "authority", "prefix", "port"),
    [
        ("https://clob.example", "clob.example", "", 443),
        ("https://clob.example:8443/v2/", "clob.example:8443", "/v2", 8443),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "", 8080),
    ],
)
def test_an_endpoint_is_read_from_its_url(url: str, authority: str, prefix: str, port: int) -> None:
    """Host header, route prefix and port; https verifies names and certificates."""
    endpoint = Endpoint.of(url)
    assert (endpoint.authority, endpoint.prefix, endpoint.port) == (authority, prefix, port)
    assert (endpoint.tls is not None) == url.startswith("https")
    if endpoint.tls is not None:
        assert endpoint.tls.check_hostname
    for bad in ("ftp://x", "clob.example", "http://"):
        with pytest.raises(ValueError, match="http or https"):
            Endpoint.of(bad)


def instruments(*token_ids: int, **venue: Any) -> Instruments:
    """An instrument table on Polygon."""
    changes = {
        "price_usd_max": 0.99,
        "order_notional_usd_max": "20.5",
        "token_ids": [str(token_id) for token_id in token_ids],
    }
    settings = SignerSettings.of(
        {
            "run": {"mode": "paper"},
            "venue": {"rest_url": "http://x", "chain_id": 137, **venue},
            "signer": Signer().model_dump(mode="json") | changes,
        }
    )
    assert settings.limits.notional_max == 20_500_000
    assert settings.limits.price_max == 990_000
    key = SigningKey.from_hex("42" * 32)
    return Instruments(settings, Ladder(Wallet.of(key, 0, key.address), "owner", settings.rungs))


def instrument_row(token_id: int, generation: int) -> np.ndarray:
    """An INSTRUMENT row."""
    record = new(Kind.INSTRUMENT)
    record["instrument"], record["generation"], record["tick"] = 1, generation, 10_000
    record["token_id"] = np.void(token_id.to_bytes(32, "big"))
    return words(record)[0]


CTF_ID = (1 << 255) | (1 << 50)
POSITION_ID = 1 << 248


@pytest.mark.parametrize(
    ("token_id", "generation", "refusal"),
    [
        (CTF_ID, 2, Reason.OK),
        (POSITION_ID, 3, Reason.OK),
        (CTF_ID, 3, Reason.GENERATION),
        (POSITION_ID, 2, Reason.GENERATION),
        (CTF_ID, 1, Reason.GENERATION),
        (CTF_ID, 0, Reason.GENERATION),
        (POSITION_ID + 1, 3, Reason.GENERATION),
        (9 << 248, 3, Reason.GENERATION),
        (0, 2, Reason.GENERATION),
    ],
)
def test_generation_and_id_must_agree(token_id: int, generation: int, refusal: Reason) -> None:
    """A market whose version and id layout contradict each other is not signed for."""
    table = instruments()
    table.on_instrument(instrument_row(token_id, generation))
    instrument = table.get(1)
    assert instrument is not None
    assert instrument.refusal == refusal
    assert len(instrument.templates) == (2 if refusal == Reason.OK else 0)


@pytest.mark.parametrize(
    ("generation", "neg_risk", "contract"),
    [
        (2, 0, "0xE111180000d2663C0091e4f400237545B87B996B"),
        (2, 1, "0xe2222d279d744050d28e00520010520000310F59"),
        (3, 0, "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"),
        (3, 1, "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"),
    ],
)
def test_each_market_is_signed_for_its_own_exchange(
    generation: int, neg_risk: int, contract: str
) -> None:
    """Neg-risk markets of generation 2 have an exchange of their own; generation 3 has one."""
    token_id = POSITION_ID if generation == 3 else CTF_ID
    row = instrument_row(token_id, generation)
    typed(row, Kind.INSTRUMENT)["neg_risk"] = neg_risk
    table = instruments()
    table.on_instrument(row)
    instrument = table.get(1)
    assert instrument is not None
    signed = instrument.templates[Side.BUY].sign(1, 1, 1, 1, 0, Tif.GTC, 0)
    order = order_from_json(orjson.loads(signed.body)["order"])
    domain = Domain(DOMAIN_NAME, str(generation), 137, contract)
    assert signed.order_hash == order_hash(order, domain.separator())


def test_only_listed_tokens_are_signed_for() -> None:
    """With a list in the settings it does not matter what the core announces."""
    table = instruments(CTF_ID)
    table.on_instrument(instrument_row(CTF_ID, 2))
    listed = table.get(1)
    assert listed is not None
    assert listed.refusal == Reason.OK
    table.on_instrument(instrument_row(CTF_ID + 1, 2))
    other = table.get(1)
    assert other is not None
    assert other.refusal == Reason.POLICY_TOKEN
    assert other.templates == ()


def test_a_market_that_changes_its_generation_is_routed_anew() -> None:
    """The same token under another version contradicts its id, and is refused from then on."""
    table = instruments()
    table.on_instrument(instrument_row(CTF_ID, 2))
    table.on_instrument(instrument_row(CTF_ID, 3))
    instrument = table.get(1)
    assert instrument is not None
    assert instrument.refusal == Reason.GENERATION


def test_a_chain_without_an_exchange_is_refused() -> None:
    """Nothing is ever signed for a guessed contract; a setting may name one."""
    table = instruments(chain_id=1)
    table.on_instrument(instrument_row(CTF_ID, 2))
    instrument = table.get(1)
    assert instrument is not None
    assert instrument.refusal == Reason.POLICY_CHAIN
    table = instruments(chain_id=1, exchange_address="0x" + "11" * 20)
    table.on_instrument(instrument_row(CTF_ID, 2))
    instrument = table.get(1)
    assert instrument is not None
    assert instrument.refusal == Reason.OK


def test_a_market_that_is_over_is_forgotten() -> None:
    """Its token is one nobody announced again, and its templates are nobody's."""
    table = instruments()
    table.on_instrument(instrument_row(CTF_ID, 2))
    record = new(Kind.STATUS)
    record["instrument"], record["status"] = 1, MarketStatus.CLOSED
    table.on_status(words(record)[0])
    instrument = table.get(1)
    assert instrument is not None
    template = instrument.templates[0]
    del instrument
    record["status"] = MarketStatus.RESOLVED
    for _ in range(2):
        table.on_status(words(record)[0])
        assert table.get(1) is None
    assert sys.getrefcount(template) == 2, "somebody else than this test and this call has it"
    table.on_instrument(instrument_row(CTF_ID, 2))
    assert table.get(1) is not None


def test_a_status_changes_the_grid_only_to_a_known_tick() -> None:
    """The tick follows the venue; an unknown one, or 0 for unchanged, is ignored."""
    table = instruments()
    table.on_instrument(instrument_row(CTF_ID, 2))
    instrument = table.get(1)
    assert instrument is not None
    for tick, seen in ((1_000, 1_000), (0, 1_000), (7, 1_000), (10_000, 10_000)):
        record = new(Kind.STATUS)
        record["instrument"], record["tick"] = 1, tick
        table.on_status(words(record)[0])
        assert instrument.tick == seen
