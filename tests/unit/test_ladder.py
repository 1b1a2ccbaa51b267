"""The signing ladder: which rung signs, what idle time prepares, and what a change forgets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.host.config.schema import Settings
from engine.wire.codes import Kind, Side, Tif
from engine.wire.records import new, words
from signer import order_v2
from signer.commands import Arm, NewOrder
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey, recover_address
from signer.instruments import Instruments
from signer.ladder import Ladder, Rungs
from signer.policy import amounts_of
from signer.settings import SignerSettings
from signer.templates import Rung, SignedOrder
from signer.wallets import Wallet

KEY = SigningKey(bytes.fromhex("42" * 32))
TOKEN_ID = (1 << 255) | (1 << 50)
DOMAIN = exchange_domain(2, 137, False)
TICK = 10_000
NOW_NS = 1_784_402_198_867_000_000
BOTH = Rungs(nonces=4, presigned=64, presigned_levels=2, presigned_age_ns_max=10**9)


def ladder_of(rungs: Rungs) -> Ladder:
    """A ladder of an EOA."""
    return Ladder(Wallet.of(KEY, 0, KEY.address), "owner", rungs)


def order_of(price: int = 480_000, salt: int = 7, **changes: int) -> NewOrder:
    """A resting buy of ten shares."""
    fields = {
        "instrument": 1,
        "trace": 1,
        "order_id": salt,
        "price": price,
        "size": 10_000_000,
        "budget": 0,
        "salt": salt,
        "timestamp_ms": 1_784_402_198_000,
        "expires_s": 0,
        "decided_ns": 0,
        "tick": TICK,
        "side": Side.BUY,
        "tif": Tif.GTC,
        "post_only": 0,
        "strategy": 0,
        "attempt": 0,
    }
    return NewOrder(**{**fields, **changes})


class Signing:
    """A ladder, and the templates of one token."""

    def __init__(self, rungs: Rungs) -> None:
        self.ladder = ladder_of(rungs)
        self.templates = self.ladder.templates(DOMAIN, TOKEN_ID)

    def sign(self, order: NewOrder, now_ns: int = NOW_NS) -> SignedOrder:
        """Sign as the duty does."""
        amounts = amounts_of(order, TICK)
        return self.ladder.sign(order, self.templates[order.side], TICK, amounts, now_ns)

    def idle(self, now_ns: int = NOW_NS) -> None:
        """Idle until everything is ready; the bound is far above what there can be to do."""
        quiet = 0
        for _ in range(10_000):
            quiet = 0 if self.ladder.idle(now_ns) else quiet + 1
            if quiet > 200:
                return
        raise AssertionError("there is no end to what idle time prepares")

    def arm(self, order: NewOrder, strategy: int = 1) -> None:
        """Arm as the duty does."""
        armed = Arm(order, strategy, is_engaged=True)
        self.ladder.arm(armed, self.templates[order.side], amounts_of(order, TICK))

    def disarm(self, strategy: int = 1, instrument: int = 1) -> None:
        """Disarm as the duty does."""
        self.ladder.disarm(Arm(order_of(instrument=instrument), strategy, is_engaged=False))


def order_in(signed: SignedOrder) -> order_v2.Order:
    """The order that was signed, from its body."""
    return order_v2.order_from_json(json.loads(signed.body)["order"])


def check(signed: SignedOrder) -> None:
    """A signed order is what its body says, and we signed it."""
    assert signed.order_hash == order_v2.order_hash(order_in(signed), DOMAIN.separator())
    assert recover_address(signed.order_hash, signed.signature) == KEY.address
    assert json.loads(signed.body)["order"]["signature"] == "0x" + signed.signature.hex()


def test_without_opting_in_signing_is_deterministic() -> None:
    """Two ladders sign the same order to the same bytes, and idle time has nothing to do."""
    one, other = Signing(Rungs()), Signing(Rungs())
    one.ladder.prepare()
    first, second = one.sign(order_of()), other.sign(order_of())
    assert first == second
    assert first.rung is Rung.FULL
    assert one.ladder.idle(NOW_NS) == 0
    assert one.ladder.signed == [1, 0, 0]
    check(first)


def test_nonces_are_used_first_and_then_the_curve() -> None:
    """With two nonces, two of three orders take the cheap rung; ids stay those of the last rung."""
    signing, plain = Signing(Rungs(nonces=2)), Signing(Rungs())
    signing.ladder.prepare()
    assert signing.ladder.nonces_left == 2
    signed = [signing.sign(order_of(salt=salt)) for salt in (1, 2, 3)]
    assert [order.rung for order in signed] == [Rung.NONCE, Rung.NONCE, Rung.FULL]
    assert signing.ladder.signed == [1, 2, 0]
    for salt, order in zip((1, 2, 3), signed, strict=True):
        check(order)
        assert order.order_hash == plain.sign(order_of(salt=salt)).order_hash
    assert len({order.signature[:32] for order in signed}) == 3


def test_idle_time_fills_what_was_used() -> None:
    """One nonce an idle round, until the pool is full again."""
    signing = Signing(Rungs(nonces=3))
    assert [signing.ladder.idle(NOW_NS) for _ in range(5)] == [1, 1, 1, 0, 0]
    signing.sign(order_of())
    assert [signing.ladder.idle(NOW_NS) for _ in range(2)] == [1, 0]


def test_idle_time_signs_the_levels_around_the_last_order() -> None:
    """After one order, the same price and two ticks to each side are ready; a third tick is not."""
    signing = Signing(BOTH)
    assert signing.sign(order_of()).rung is Rung.FULL
    signing.idle()
    assert signing.ladder.presigned_left == 5
    prices = (460_000, 470_000, 480_000, 490_000, 500_000)
    for price in prices:
        signed = signing.sign(order_of(price))
        assert signed.rung is Rung.AHEAD
        assert order_in(signed).maker_amount == price * 10
        check(signed)
    assert signing.sign(order_of(530_000)).rung is Rung.NONCE
    assert signing.ladder.signed == [1, 1, len(prices)]


def test_an_order_signed_ahead_is_handed_out_once() -> None:
    """The same order asked for twice in a row gets two different ones."""
    signing = Signing(BOTH)
    signing.sign(order_of())
    signing.idle()
    first, second = signing.sign(order_of(salt=8)), signing.sign(order_of(salt=9))
    assert (first.rung, second.rung) == (Rung.AHEAD, Rung.NONCE)
    assert first.order_hash != second.order_hash
    signing.idle()
    third = signing.sign(order_of(salt=10))
    assert third.rung is Rung.AHEAD
    assert third.order_hash != first.order_hash


def test_an_order_too_old_is_not_handed_out() -> None:
    """Past its age an order is missed, and idle time has signed a younger one before that."""
    signing = Signing(BOTH)
    signing.sign(order_of())
    signing.idle()
    late_ns = NOW_NS + BOTH.presigned_age_ns_max + 1
    assert signing.sign(order_of(), late_ns).rung is not Rung.AHEAD
    signing.idle(late_ns)
    signed = signing.sign(order_of(), late_ns)
    assert signed.rung is Rung.AHEAD
    assert order_in(signed).timestamp_ms == late_ns // 1_000_000


@pytest.mark.parametrize(
    "order",
    [
        order_of(tif=Tif.FOK, budget=4_800_000),
        order_of(tif=Tif.FAK, budget=5_000_000),
        order_of(side=Side.SELL),
        order_of(post_only=1),
        order_of(10_000),
        order_of(990_000),
    ],
)
def test_every_kind_of_order_is_foreseen(order: NewOrder) -> None:
    """What was asked for once is ready the next time, for market orders and at the grid's ends."""
    signing = Signing(BOTH)
    signing.sign(order)
    signing.idle()
    again = signing.sign(order)
    assert again.rung is Rung.AHEAD
    check(again)
    content = json.loads(again.body)
    assert content["orderType"] == Tif(order.tif).name
    assert content["postOnly"] is bool(order.post_only)


def test_a_budget_that_follows_the_price_is_foreseen_at_other_prices() -> None:
    """A taker that spends price × size finds the next tick ready too."""
    signing = Signing(BOTH)
    signing.sign(order_of(tif=Tif.FOK, budget=4_800_000))
    signing.idle()
    assert signing.sign(order_of(490_000, tif=Tif.FOK, budget=4_900_000)).rung is Rung.AHEAD


ARMED = {"tif": Tif.FOK, "budget": 4_800_000}


def test_an_armed_order_is_ready_the_first_time() -> None:
    """Nothing like it was ever asked for: it was armed, so its signature waits for it."""
    signing = Signing(BOTH)
    signing.arm(order_of(**ARMED))
    signing.idle()
    assert signing.ladder.presigned_left == 1
    signed = signing.sign(order_of(**ARMED))
    assert signed.rung is Rung.AHEAD
    check(signed)


def test_an_armed_order_is_signed_before_all_others() -> None:
    """With room for one, it is the armed one, though idle time was busy with another."""
    signing = Signing(Rungs(presigned=1, presigned_levels=0, presigned_age_ns_max=10**9))
    signing.sign(order_of())
    signing.idle()
    signing.arm(order_of(**ARMED))
    signing.sign(order_of(size=20_000_000))
    signing.idle()
    assert signing.sign(order_of(**ARMED)).rung is Rung.AHEAD


def test_an_armed_order_is_signed_again_when_half_its_age_is_over() -> None:
    """However long it waits, there is one young enough."""
    signing = Signing(BOTH)
    signing.arm(order_of(**ARMED))
    now_ns = NOW_NS
    for _ in range(5):
        signing.idle(now_ns)
        now_ns += BOTH.presigned_age_ns_max * 6 // 10
    signing.idle(now_ns)
    signed = signing.sign(order_of(**ARMED), now_ns)
    assert signed.rung is Rung.AHEAD
    assert order_in(signed).timestamp_ms == now_ns // 1_000_000


@pytest.mark.parametrize("is_taken", [True, False])
def test_what_was_taken_or_disarmed_is_signed_ahead_no_more(is_taken: bool) -> None:
    """After a year nothing is ready: neither is what was armed by another strategy forgotten."""
    signing = Signing(Rungs(presigned=8, presigned_levels=0, presigned_age_ns_max=10**9))
    signing.arm(order_of(**ARMED))
    signing.arm(order_of(490_000, tif=Tif.FOK), strategy=2)
    signing.idle()
    if is_taken:
        signing.sign(order_of(**ARMED))
        signing.ladder._wishes._read_news()
        signing.ladder._wishes._asked.clear()  # an order that was sent is a wish of its own
    else:
        signing.disarm()
    late_ns = NOW_NS + 10**15
    signing.idle(late_ns)
    assert signing.sign(order_of(490_000, tif=Tif.FOK), late_ns).rung is Rung.AHEAD
    assert signing.sign(order_of(**ARMED), late_ns).rung is not Rung.AHEAD


def test_the_same_order_armed_again_after_it_was_taken_is_ready_again() -> None:
    """The one that was taken is no answer to the one armed after it."""
    signing = Signing(Rungs(presigned=1, presigned_levels=0, presigned_age_ns_max=10**9))
    hashes = set()
    for _ in range(3):
        signing.arm(order_of(**ARMED))
        signing.idle()
        signed = signing.sign(order_of(**ARMED))
        assert signed.rung is Rung.AHEAD
        hashes.add(signed.order_hash)
    assert len(hashes) == 3


def test_without_the_rung_arming_is_ignored() -> None:
    """There is nothing to prepare, and the order is signed when it is asked for."""
    signing = Signing(Rungs())
    signing.arm(order_of(**ARMED))
    assert signing.ladder.idle(NOW_NS) == 0
    signing.disarm()
    assert signing.sign(order_of(**ARMED)).rung is Rung.FULL


def test_an_order_with_an_expiry_is_never_signed_ahead() -> None:
    """Its body carries the expiry: it is signed when asked for."""
    signing = Signing(BOTH)
    order = order_of(tif=Tif.GTD, expires_s=1_784_500_000)
    signing.sign(order)
    signing.idle()
    assert signing.ladder.presigned_left == 0
    assert signing.sign(order).rung is not Rung.AHEAD


def test_what_is_held_is_bounded() -> None:
    """Many shapes and a small pool: the newest are held, and idle time comes to an end."""
    signing = Signing(Rungs(presigned=7, presigned_levels=2, presigned_age_ns_max=10**9))
    for size in range(1, 100):
        signing.sign(order_of(size=size * 1_000_000))
    signing.idle()
    assert signing.ladder.presigned_left == 7
    assert signing.sign(order_of(size=99_000_000)).rung is Rung.AHEAD


def test_closing_forgets_everything_made_ahead() -> None:
    """After close an order is signed by the last rung only, and nothing is prepared."""
    signing = Signing(BOTH)
    signing.ladder.prepare()
    signing.sign(order_of())
    signing.idle()
    signing.ladder.close()
    assert signing.sign(order_of()).rung is Rung.FULL
    assert (signing.ladder.nonces_left, signing.ladder.presigned_left) == (0, 0)
    assert signing.ladder.idle(NOW_NS) == 0


def announcement(**changes: int) -> np.ndarray:
    """An INSTRUMENT row."""
    record = new(Kind.INSTRUMENT)
    fields = {"instrument": 1, "generation": 2, "tick": TICK, "min_size_cents": 500}
    for name, value in {**fields, "fee_rate_ppm": 70_000, **changes}.items():
        record[name] = value
    record["token_id"] = np.void(TOKEN_ID.to_bytes(32, "big"))
    return words(record)[0]


def status(tick: int) -> np.ndarray:
    """A STATUS row with a tick."""
    record = new(Kind.STATUS)
    record["instrument"], record["tick"] = 1, tick
    return words(record)[0]


class Announced(Signing):
    """An instrument that was announced, and one order signed ahead for it."""

    def __init__(self) -> None:
        url = "http://127.0.0.1:1"
        settings = Settings.model_validate(
            {
                "run": {"name": "ladder", "directory": "runs/ladder"},
                "venue": {
                    "rest_url": url,
                    "gamma_url": url,
                    "market_ws_url": "ws://127.0.0.1:1",
                    "user_ws_url": "ws://127.0.0.1:1",
                },
                "markets": {"slugs": ["up-or-down"]},
                "feeds": {"market": {"feeds": ["gamma"]}},
                "signer": {"presigned": 8, "presigned_levels": 0},
            }
        )
        ours = SignerSettings.of(settings.to_json())
        self.ladder = ladder_of(ours.rungs)
        self.table = Instruments(ours, self.ladder)
        self.table.on_instrument(announcement())
        instrument = self.table.get(1)
        assert instrument is not None
        self.templates = instrument.templates
        self.sign(order_of())
        self.idle()
        assert self.ladder.presigned_left == 1

    def hear(self, row: np.ndarray) -> None:
        """Take a record as the duty does."""
        if row[0] & 0xFFFF == Kind.STATUS:
            self.table.on_status(row)
        else:
            self.table.on_instrument(row)


@pytest.mark.parametrize(
    "change",
    [
        announcement(tick=1_000),
        announcement(min_size_cents=1_500),
        announcement(fee_rate_ppm=50_000),
        announcement(fee_exponent=2),
        announcement(neg_risk=1),
        announcement(generation=3),
        status(1_000),
    ],
    ids=["tick", "size", "fee", "fee curve", "contract", "generation", "tick by status"],
)
def test_a_change_of_terms_forgets_what_was_signed_ahead(change: np.ndarray) -> None:
    """Tick, minimum size, fee, contract or generation: nothing signed before is handed out."""
    announced = Announced()
    announced.arm(order_of())
    announced.hear(change)
    announced.idle()
    assert announced.ladder.presigned_left == 0
    assert announced.ladder.dropped == 1
    assert announced.sign(order_of()).rung is Rung.FULL


@pytest.mark.parametrize("row", [announcement(), status(TICK), status(0), status(7)])
def test_news_that_changes_nothing_forgets_nothing(row: np.ndarray) -> None:
    """The same announcement again, the same tick or an unknown one: what is ready stays ready."""
    announced = Announced()
    announced.hear(row)
    assert announced.sign(order_of()).rung is Rung.AHEAD


def test_two_wallets_share_nothing() -> None:
    """What one wallet has signed ahead is not found with another's template."""
    signing, other = Signing(BOTH), SigningKey(bytes.fromhex("43" * 32))
    signing.sign(order_of())
    signing.idle()
    stranger = Ladder(Wallet.of(other, 0, other.address), "owner", Rungs())
    template = stranger.templates(DOMAIN, TOKEN_ID)[Side.BUY]
    amounts = amounts_of(order_of(), TICK)
    signed = signing.ladder.sign(order_of(), template, TICK, amounts, NOW_NS)
    assert signed.rung is Rung.FULL
    assert recover_address(signed.order_hash, signed.signature) == other.address
