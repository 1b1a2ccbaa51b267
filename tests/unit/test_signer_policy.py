"""The signer's own limits, whatever the core asks for."""

from __future__ import annotations

import pytest

from engine.wire.codes import Reason, Side, Tif
from signer.amounts import Amounts
from signer.commands import NewOrder
from signer.policy import Limits, Policy

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
    tick=10_000,
    side=Side.BUY,
    tif=Tif.GTC,
    post_only=1,
    attempt=0,
)
TAKE = ORDER._replace(tif=Tif.FOK, post_only=0)


def check(order: NewOrder, tick: int = 10_000) -> tuple[int, Amounts]:
    """A fresh policy's answer."""
    return Policy(LIMITS).check(order, tick, 10 * S)


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


def test_the_rate_allows_a_burst_and_then_one_at_a_time() -> None:
    """Two a second: two at once, then none for half a second; refusals cost nothing."""
    policy = Policy(LIMITS)
    bad = ORDER._replace(size=0)

    def reason(order: NewOrder, at_ns: int) -> int:
        return policy.check(order, 10_000, at_ns)[0]

    now_ns = 10 * S
    assert [reason(ORDER, now_ns) for _ in range(3)] == [0, 0, Reason.POLICY_RATE]
    assert reason(bad, now_ns + S // 2) == Reason.POLICY_SIZE
    assert reason(ORDER, now_ns + S // 2) == Reason.OK
    assert reason(ORDER, now_ns + S // 2) == Reason.POLICY_RATE
    assert [reason(ORDER, now_ns + 60 * S) for _ in range(3)] == [0, 0, Reason.POLICY_RATE]
