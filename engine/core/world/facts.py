"""What the gates ask for, as numbers that one jitted call can read.

```
instruments  int64[n, columns]           a row an instrument, numbered as the books are
account      int64[RING + orders seen]   the account, its limits, and when its last orders opened
```
Nothing is kept twice: sums, latches and limits live here alone, and whoever owns one (`Orders`,
`Lots`, `Cash`, `World`) reads and writes it through a memoryview, at a quarter of numpy's price.
"""

from __future__ import annotations

import numpy as np

from engine.core.params import RiskLimits
from engine.math.units import MICROS

# Columns of `instruments`.
COMPLEMENT = 0  # the other outcome's instrument
MARKET = 1  # the instrument in whose row the market's exposure stands
IS_OPEN = 2  # 1 = the venue accepts orders, and its market is not halted
IS_FEE_KNOWN = 3
MIN_SIZE = 4  # micro-shares
TERMS = 5  # counts the changes of tick, fee and minimum size
BUYS = 6  # pUSD micros its working buys may still spend
SELLS = 7  # micro-shares its working sells may still take
BEST_BUY = 8  # highest price of our own working buys in micros, 0 = none
BEST_SELL = 9  # lowest price of our own working sells, NO_SELL = none
EXPOSURE = 10  # pUSD micros, in the row `MARKET` names
HELD = 11  # micro-shares all strategies hold of it
IS_DISPUTED = 12  # 1 = what is held of it contradicts the books
# From here on two columns a strategy, by its number; number 0 is for orders made elsewhere.
OWN = 13  # micro-shares the strategy holds
OWN_SELLS = 14  # micro-shares its working sells may still take
OWN_COLUMNS = 2
NO_SELL = 2 * MICROS

# Words of `account`. Money in pUSD micros.
HALTED = 0  # a Reason; 0 = trading is allowed
SEES_FILLS = 1  # 1 = the private stream is connected
CASH_KNOWN = 2  # 1 = the venue has told a balance
CASH_OPENING = 3
CASH_FLOW = 4  # fills and fees since opening
RESERVED = 5  # what all working buys may still spend
WORKING = 6  # orders that may still fill, the armed ones included
TOTAL_EXPOSURE = 7
ORDER_NOTIONAL_MAX = 8
MARKET_NOTIONAL_MAX = 9
TOTAL_NOTIONAL_MAX = 10
BOOK_AGE_NS_MAX = 11
ORDERS_OPEN_MAX = 12
CASH_MIN = 13
RATE_MAX = 14  # orders a second
OPENED = 15  # orders opened so far
IS_RECOVERED = 16  # 1 = what earlier runs have left is known
SIGN_NS = 17  # when the private feed last gave a sign of life
READ_BACK_NS = 18  # when its last complete read-back began
SIGN_AGE_NS_MAX = 19
READ_BACK_AGE_NS_MAX = 20
RING = 21  # from here on: when each of the last orders was opened, the next overwrites the oldest

RATE_SEEN_MAX = 1 << 16  # a limit beyond it is held to it: no venue takes so many a second
_NEVER_NS = -(1 << 62)


class Facts:
    """The arrays, and the same words as memoryviews for Python.

    columns: words of an instrument's row.  strategies: how many there are, number 0 included.
    """

    __slots__ = (
        "account",
        "account_words",
        "columns",
        "instrument_words",
        "instruments",
        "strategies",
    )

    def __init__(self, capacity: int, limits: RiskLimits, strategies: int) -> None:
        """capacity: instruments, the unused row 0 included.  strategies: how many there are."""
        self.strategies = strategies + 1
        self.columns = OWN + OWN_COLUMNS * self.strategies
        self.instruments = np.zeros((capacity, self.columns), np.int64)
        self.instruments[:, BEST_SELL] = NO_SELL
        self.instrument_words = self.instruments.data.cast("B").cast("q")
        rate = min(max(limits.orders_per_second_max, 0), RATE_SEEN_MAX)
        self.account = np.zeros(RING + max(rate, 1), np.int64)
        self.account[RING:] = _NEVER_NS
        self.account_words = words = self.account.data.cast("B").cast("q")
        words[ORDER_NOTIONAL_MAX] = limits.order_notional_max
        words[MARKET_NOTIONAL_MAX] = limits.market_notional_max
        words[TOTAL_NOTIONAL_MAX] = limits.total_notional_max
        words[BOOK_AGE_NS_MAX] = limits.book_age_ns_max
        words[ORDERS_OPEN_MAX] = limits.orders_open_max
        words[CASH_MIN] = limits.cash_min
        words[RATE_MAX] = rate
        words[SIGN_NS] = words[READ_BACK_NS] = _NEVER_NS
        words[SIGN_AGE_NS_MAX] = limits.private_sign_age_ns_max
        words[READ_BACK_AGE_NS_MAX] = limits.read_back_age_ns_max
