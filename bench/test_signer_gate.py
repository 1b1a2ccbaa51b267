"""What stands between a command and its signature: admission, policy, a token of the venue's.

Every order passes it, and so does every order that must not be sent. A regression delays each trade
by as much, and in a burst the last order by the sum.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from engine.wire.codes import Reason, Side, Tif
from signer.admission import Admission, AdmissionSettings
from signer.commands import NewOrder
from signer.policy import Limits, Policy
from signer.ratelimit import RateLimits, RateSettings

NOW_NS = 1_784_402_198_867_000_000
MANY = 10**9
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
    tif=Tif.FOK,
    post_only=0,
    strategy=0,
    attempt=0,
)


def test_gate(benchmark: Any) -> None:
    """An order that passes: nothing stops it, it is in policy, and there is a token."""
    admission = Admission(AdmissionSettings(0, 0))
    policy = Policy(Limits(10_000, 990_000, 100_000_000, 20_000_000, MANY, MANY * 10**6))
    limits = RateLimits(RateSettings(orders_per_second=MANY, orders_burst=MANY))
    stamps = count(NOW_NS, 100_000)  # slow enough for the route's window

    def pass_gate() -> bool:
        now_ns = next(stamps)
        return (
            not admission.objection(ORDER.side, ORDER.post_only, now_ns)
            and policy.check(ORDER, 10_000, 5_000_000, now_ns)[0] == Reason.OK
            and limits.take_order(now_ns)
        )

    assert pass_gate()
    benchmark(pass_gate)


def test_gate_of_an_order_out_of_policy(benchmark: Any) -> None:
    """A core that went mad floods this one: refusing must be cheaper than signing."""
    policy = Policy(Limits(10_000, 990_000, 100_000_000, 20_000_000, MANY))
    order = ORDER._replace(size=200_000_000)
    assert policy.check(order, 10_000, 0, NOW_NS)[0] == Reason.POLICY_SIZE
    benchmark(policy.check, order, 10_000, 0, NOW_NS)
