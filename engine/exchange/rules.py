"""What the venue refuses, and in which words. Pure.

The texts are the venue's own (protocol reference, orders.md §5.3): clients classify by them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.exchange.fates import Fates
from engine.exchange.market import Market
from engine.exchange.matching import Order
from engine.exchange.orders import Submission
from engine.exchange.texts import MICROS, decimal_text
from engine.wire.codes import Side, Tif

CENT = 10_000  # micros: two decimals
MARKET_UNIT = 100  # micros: four decimals

BALANCE = "not enough balance / allowance"
DUPLICATED = "order {id} is invalid. Duplicated."
EXPIRATION = "invalid expiration"
FAK_KILLED = (
    "no orders found to match with FAK order. "
    "FAK orders are partially filled or killed if no match is found."
)
FOK_KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
NO_BOOK = "the market is not yet ready to process new orders"
NO_MARKET = "the orderbook {token} does not exist"
POST_ONLY_CROSSES = "invalid post-only order: order crosses book"
POST_ONLY_TYPE = "invalid post-only order: only GTC and GTD order types are allowed"


@dataclass(frozen=True, slots=True)
class VenueRules:
    """What the venue may change from one month to the next. Times in venue ms, money in micros."""

    taker_delay_ms: int = 150
    fates: Fates = field(default_factory=Fates)  # how trades settle
    pays_rebates: bool = False  # to makers, every midnight UTC
    gtd_ahead_ms_min: int = 180_000
    gtd_early_ms: int = 60_000  # a GTD order leaves this long before its stated time
    marketable_buy_min: int = 1_000_000
    heartbeat_ms: int = 10_000  # without one this long, a key's orders are cancelled
    heartbeat_sweep_ms: int = 5_000  # how often the venue looks
    history_max: int = 50_000  # ended orders, and fills, that can still be asked for
    eoa_accepted: bool = True  # the venue refuses new plain addresses as makers
    v1_accepted: bool = False  # orders of generation 1

    def delay_ms(self, market: Market) -> int:
        """Return how long a market holds takers, in venue ms."""
        if market.seconds_delay:
            return market.seconds_delay * 1_000
        return self.taker_delay_ms if market.taker_delay_ms is None else market.taker_delay_ms

    def expires_ms(self, submission: Submission) -> int:
        """Return when a GTD order leaves the book."""
        return submission.expiration_s * 1_000 - self.gtd_early_ms


def read_terms(submission: Submission, tick: int) -> Order | str:
    """Return what an order's signed amounts mean, or the text that refuses them.

    tick: the market's at present, micros. A limit order's amounts must give a price on the grid
    exactly. A market order (FOK, FAK) has 2 and 4 decimals, so its price is only near the grid: its
    limit is the worst price on the grid that its amounts still admit, as the contract compares
    them, and a buy whose shares were rounded up does not reach the price it was meant for.
    """
    buy = submission.side == Side.BUY
    maker, taker = submission.maker_amount, submission.taker_amount
    usd, shares = (maker, taker) if buy else (taker, maker)
    if usd <= 0 or shares <= 0:
        return "invalid amounts, maker and taker amount must be higher than 0"
    if submission.tif in (Tif.FOK, Tif.FAK):
        price = _market_price(maker, taker, submission.side, tick)
    else:
        price = _limit_price(usd, shares, tick)
    if isinstance(price, str):
        return price
    if not tick <= price <= MICROS - tick or price % tick:
        return (
            f"order {submission.order_hash} is invalid. Price ({decimal_text(price)}) "
            f"breaks minimum tick size rule: {decimal_text(tick)}"
        )
    if shares < submission.market.min_size:
        return (
            f"order {submission.order_hash} is invalid. Size ({decimal_text(shares)}) "
            f"lower than the minimum: {decimal_text(submission.market.min_size)}"
        )
    limit = price
    if submission.tif in (Tif.FOK, Tif.FAK):
        ratio, step = usd * MICROS, shares * tick
        limit = (ratio // step if buy else -(-ratio // step)) * tick
    return Order(
        submission.order_hash,
        submission.outcome,
        submission.side,
        limit,
        shares,
        submission.tif,
        submission.post_only,
        budget=usd if buy and submission.tif in (Tif.FOK, Tif.FAK) else 0,
    )


def timing_error(submission: Submission, rules: VenueRules, now_ms: int) -> str:
    """Return why the order type, post-only flag and expiration do not fit together, or ""."""
    if submission.post_only and submission.tif not in (Tif.GTC, Tif.GTD):
        return POST_ONLY_TYPE
    if submission.tif == Tif.GTD:
        ahead_ms = submission.expiration_s * 1_000 - now_ms
        return "" if ahead_ms >= rules.gtd_ahead_ms_min else EXPIRATION
    return EXPIRATION if submission.expiration_s else ""


def balance_error(balance: int, needed: int) -> str:
    """Return the venue's text for an order that its balance does not cover."""
    return f"{BALANCE}: the balance is not enough -> balance: {balance}, order amount: {needed}"


def _limit_price(usd: int, shares: int, tick: int) -> int | str:
    if shares % CENT:
        return "invalid amounts, the size of an order supports a max accuracy of 2 decimals"
    exact, rest = divmod(usd * MICROS, shares)
    if not rest:
        return exact
    price = _nearest(usd * MICROS, shares, tick)
    should = decimal_text(price * shares // MICROS)
    return (
        f"invalid amounts, the taker amount for a ${decimal_text(price)} order of size "
        f"{decimal_text(shares)} should be '{should}' but the value submited is "
        f"'{decimal_text(usd)}'"
    )


def _market_price(maker: int, taker: int, side: int, tick: int) -> int | str:
    buy = side == Side.BUY
    if maker % CENT or taker % MARKET_UNIT:
        return (
            f"invalid amounts, the market {'buy' if buy else 'sell'} orders maker amount supports "
            "a max accuracy of 2 decimals, taker amount a max of 4 decimals"
        )
    usd, shares = (maker, taker) if buy else (taker, maker)
    price = _nearest(usd * MICROS, shares, tick)
    if price:
        should = maker * MICROS // price if buy else maker * price // MICROS
        if abs(should // MARKET_UNIT * MARKET_UNIT - taker) <= MARKET_UNIT:
            return price
    return usd * MICROS // shares  # off the grid, or so near 0 that the grid has no place for it


def _nearest(numerator: int, denominator: int, step: int) -> int:
    """Return the multiple of `step` nearest to numerator / denominator."""
    return (2 * numerator + denominator * step) // (2 * denominator * step) * step
