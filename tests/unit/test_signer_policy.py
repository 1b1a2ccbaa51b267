"""The signer's own limits, whatever the core asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.wire.codes import Reason, Side, Tif
from signer.amounts import Amounts
from signer.commands import NewOrder
from signer.policy import Limits, Policy, amounts_of, stake_of

LIMITS = Limits(
    price_min=10_000,
    price_max=990_000,
    size_max=100_000_000,
    notional_max=20_000_000,
    orders_per_second_max=2,
)
S = 1_000_000_000
ORDER = NewOrder(
    instrument=1,
    trace=2,
    order_id=3,
    price=480_000,
    size=10_000_000,
    budget=0,
    salt=5,
    timestamp_ms=1_784_402_198_867,
    expires_s=0,
    decided_ns=0,
    tick=10_000,
    side=Side.BUY,
    tif=Tif.GTC,
    post_only=1,
    strategy=0,
    attempt=0,
)
TAKE = ORDER._replace(tif=Tif.FOK, post_only=0)


def check(
    order: NewOrder, tick: int = 10_000, size_min: int = 0, limits: Limits = LIMITS
) -> tuple[int, Amounts]:
    """A fresh policy's answer."""
    return Policy(limits).check(order, tick, size_min, 10 * S)[:2]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("order", [ORDER, TAKE], ids=["quote", "take"])
def test_the_signers_own_prices_bound_every_order(order: NewOrder, side: Side) -> None:
    """A price on the grid and between 0 and 1 is refused one tick outside the limits."""
    limits = replace(LIMITS, price_min=200_000, price_max=800_000)
    reasons = [
        check(order._replace(price=price, side=side), limits=limits)[0]
        for price in (190_000, 200_000, 800_000, 810_000)
    ]
    assert reasons == [Reason.POLICY_PRICE, Reason.OK, Reason.OK, Reason.POLICY_PRICE]


@pytest.mark.parametrize(
    ("order", "amounts"),
    [
        (ORDER, Amounts(4_800_000, 10_000_000)),
        (ORDER._replace(side=Side.SELL), Amounts(10_000_000, 4_800_000)),
        (TAKE, Amounts(4_800_000, 10_000_000)),
        (TAKE._replace(budget=4_805_000), Amounts(4_800_000, 10_000_000)),
        (TAKE._replace(budget=5_000_000), Amounts(5_000_000, 10_416_600)),
        (TAKE._replace(side=Side.SELL, tif=Tif.FAK), Amounts(10_000_000, 4_800_000)),
        (ORDER._replace(tif=Tif.GTD, expires_s=1_795_000_000), Amounts(4_800_000, 10_000_000)),
    ],
)
def test_what_is_in_policy_gets_its_amounts(order: NewOrder, amounts: Amounts) -> None:
    """Resting orders use limit arithmetic, takes use market arithmetic with their budget."""
    assert check(order) == (Reason.OK, amounts)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": 485_000}, Reason.POLICY_PRICE),
        ({"price": 0}, Reason.POLICY_PRICE),
        ({"price": 1_000_000}, Reason.POLICY_PRICE),
        ({"price": -480_000}, Reason.POLICY_PRICE),
        ({"size": 0}, Reason.POLICY_SIZE),
        ({"size": -10_000}, Reason.POLICY_SIZE),
        ({"size": 10_001}, Reason.POLICY_SIZE),
        ({"size": 100_010_000}, Reason.POLICY_SIZE),
        ({"price": 500_000, "size": 40_010_000}, Reason.POLICY_NOTIONAL),
        ({"tif": Tif.FOK, "post_only": 0, "budget": 20_010_000}, Reason.POLICY_NOTIONAL),
        ({"budget": -1}, Reason.POLICY_TOKEN),
        ({"side": 2}, Reason.POLICY_TOKEN),
        ({"tif": 4}, Reason.POLICY_TOKEN),
        ({"post_only": 2}, Reason.POLICY_TOKEN),
        ({"tif": Tif.FAK}, Reason.POLICY_TOKEN),
        ({"tif": Tif.GTD}, Reason.POLICY_TOKEN),
        ({"expires_s": 1}, Reason.POLICY_TOKEN),
        ({"salt": 1 << 53}, Reason.POLICY_TOKEN),
        ({"timestamp_ms": 0}, Reason.POLICY_TOKEN),
        ({"tif": Tif.FOK, "post_only": 0, "budget": 9_999}, Reason.POLICY_SIZE),
    ],
)
def test_what_is_out_of_policy_is_named(changes: dict[str, int], reason: Reason) -> None:
    """Each rule refuses what it is there for."""
    assert check(ORDER._replace(**changes))[0] == reason


def test_the_grid_is_the_instruments_not_the_orders() -> None:
    """What the core says of the tick does not matter."""
    fine = ORDER._replace(price=481_000, tick=1_000)
    assert check(fine, tick=10_000)[0] == Reason.POLICY_PRICE
    assert check(fine, tick=1_000)[0] == Reason.OK
    assert check(fine, tick=7)[0] == Reason.POLICY_PRICE


def test_a_size_below_the_markets_smallest_is_refused() -> None:
    """The venue's own minimum, as it was announced."""
    assert check(ORDER, size_min=10_000_000)[0] == Reason.OK
    assert check(ORDER, size_min=10_010_000)[0] == Reason.POLICY_SIZE


def test_a_purchase_at_once_spends_at_least_what_the_venue_takes() -> None:
    """Only purchases that take: quotes and sales may be smaller."""
    limits = replace(LIMITS, take_min=1_000_000)
    small = TAKE._replace(size=2_000_000)
    assert check(small, limits=limits)[0] == Reason.POLICY_SIZE
    assert check(small._replace(side=Side.SELL), limits=limits)[0] == Reason.OK
    assert check(ORDER._replace(size=2_000_000), limits=limits)[0] == Reason.OK


@pytest.mark.parametrize(
    ("order", "stake"),
    [
        (ORDER, 4_800_000),
        (TAKE._replace(budget=5_000_000), 5_000_000),
        (ORDER._replace(side=Side.SELL), 5_200_000),
        (ORDER._replace(side=Side.SELL, price=990_000), 9_900_000),
    ],
)
def test_a_sale_stakes_what_the_shares_may_be_worth(order: NewOrder, stake: int) -> None:
    """Shares sold for a cent may have been worth a dollar."""
    assert Policy(LIMITS).check(order, 10_000, 0, 10 * S)[2] == stake
    assert stake_of(order.side, amounts_of(order, 10_000)) == stake


def test_a_days_orders_together_stay_within_the_limit() -> None:
    """What is proven unspent is given back; midnight forgets; what is unknown stays counted."""
    policy = Policy(replace(LIMITS, daily_notional_max=10_000_000, orders_per_second_max=1_000))
    day_ns = 86_400 * S

    def reason(at_ns: int) -> int:
        return policy.check(ORDER, 10_000, 0, at_ns)[0]

    now_ns = 20_000 * day_ns + S
    assert [reason(now_ns) for _ in range(3)] == [0, 0, Reason.POLICY_NOTIONAL]
    policy.spending.release(4_800_000, now_ns)
    assert reason(now_ns) == Reason.OK
    assert reason(now_ns) == Reason.POLICY_NOTIONAL
    policy.spending.release(4_800_000, now_ns - 2 * S)
    assert reason(now_ns) == Reason.POLICY_NOTIONAL, "yesterday's does not count today"
    assert reason(now_ns + day_ns) == Reason.OK
    policy.spending.restore(9_000_000, now_ns + day_ns)
    assert reason(now_ns + day_ns) == Reason.POLICY_NOTIONAL


def test_the_rate_allows_a_burst_and_then_one_at_a_time() -> None:
    """Two a second: two at once, then none for half a second; refusals cost nothing."""
    policy = Policy(LIMITS)
    bad = ORDER._replace(size=0)

    def reason(order: NewOrder, at_ns: int) -> int:
        return policy.check(order, 10_000, 0, at_ns)[0]

    now_ns = 10 * S
    assert [reason(ORDER, now_ns) for _ in range(3)] == [0, 0, Reason.POLICY_RATE]
    assert reason(bad, now_ns + S // 2) == Reason.POLICY_SIZE
    assert reason(ORDER, now_ns + S // 2) == Reason.OK
    assert reason(ORDER, now_ns + S // 2) == Reason.POLICY_RATE
    assert [reason(ORDER, now_ns + 60 * S) for _ in range(3)] == [0, 0, Reason.POLICY_RATE]
