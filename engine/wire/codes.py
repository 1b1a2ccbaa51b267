"""The closed vocabularies of the wire: small integers with names.

Values are part of the protocol (`engine/wire/PROTOCOL.md`): append, never renumber.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Kind(IntEnum):
    """What a record says. The ranges tell who may write it."""

    # market data and reference, written by feeds
    INSTRUMENT = 1
    STATUS = 2
    LEVELS = 3
    BBO = 4
    TRADE = 5
    REF_PRICE = 6
    SIGNAL = 7
    LEADER_FILL = 8
    CERTIFICATE = 9
    FEED_STATUS = 10
    # private state of our account, written by the private feed
    ORDER_STATE = 32
    FILL = 33
    BALANCE = 34
    SCORING = 35
    # commands, written by the core
    NEW_ORDER = 64
    CANCEL = 65
    CANCEL_ALL = 66
    CONVERT = 67
    ARM = 68
    # execution reports, written by the signer
    SIGNED = 96
    ACK = 97
    REJECT = 98
    UNKNOWN = 99
    DONE = 100
    CONVERTED = 101
    RAIL_STATUS = 102
    RECOVERED = 103
    # the core's own and the operator's
    TIMER = 128
    CONFIG = 129
    DECISION = 130
    HALT = 131
    GAP = 132


class Source(IntEnum):
    """Which component wrote a record."""

    NONE = 0
    CLOB_MARKET = 1
    CLOB_USER = 2
    CLOB_PRIVATE = 3
    GAMMA = 4
    CORE = 5
    SIGNER = 6
    SUPERVISOR = 7


class Flag(IntFlag):
    """Header flags; each bit is meaningful for the kinds named beside it."""

    NONE = 0
    RESET = 1  # LEVELS: forget the book before applying (first record of a full replacement)
    LAST = 2  # LEVELS: last record of this frame for this instrument
    TOUCH = 4  # LEVELS: best_bid / best_ask hold the venue's claim after the whole frame
    BATCH = 8  # TIMER: opens a batch; PUBLISHED closes it
    PUBLISHED = 16
    SNAPSHOT = 32  # ORDER_STATE, FILL, BALANCE: read back by REST, not streamed;
    # INSTRUMENT: of a market the account has traded and the configuration does not name


class Side(IntEnum):
    """The venue's own numbers: what is signed."""

    BUY = 0
    SELL = 1


class Tif(IntEnum):
    """Time in force."""

    GTC = 0
    GTD = 1
    FOK = 2
    FAK = 3


class Liquidity(IntEnum):
    """Which side of a fill we were."""

    TAKER = 0
    MAKER = 1


class Settlement(IntEnum):
    """How far a fill has settled. Higher is later; only FAILED reverses a fill.

    UNKNOWN is a word of the venue that is not known here: such a fill is not booked.
    """

    UNKNOWN = 0
    MATCHED = 1
    RETRYING = 2
    MINED = 3
    CONFIRMED = 4
    FAILED = 5


class MarketStatus(IntEnum):
    """What may be done in a market."""

    UNKNOWN = 0
    OPEN = 1
    CLOSED = 2  # no orders are accepted
    RESOLVED = 3  # payout_micros is final


class Connection(IntEnum):
    """FEED_STATUS: the life of one venue connection."""

    CONNECTING = 1
    CONNECTED = 2  # subscribed; snapshots follow
    DISCONNECTED = 3
    SILENT = 4  # open, but no data within the watchdog's bound


class FeeCurve(IntEnum):
    """Which fee formula a market uses; UNKNOWN forbids taking."""

    UNKNOWN = 0
    FREE = 1
    V2 = 2
    LEGACY = 3


class OrderStatus(IntEnum):
    """ACK and ORDER_STATE: what the venue says of an order."""

    LIVE = 1
    MATCHED = 2
    DELAYED = 3
    UNMATCHED = 4
    CANCELED = 5
    INVALID = 6


class Reason(IntEnum):
    """Why something did or did not happen; shared by gates, planner, signer and venue."""

    OK = 0
    # risk gates, in the order they are asked
    HALTED = 1
    STALE_BOOK = 2
    MARKET_CLOSED = 3
    FEE_UNKNOWN = 4
    PRICE_OFF_TICK = 5
    SIZE_TOO_SMALL = 6
    ORDER_NOTIONAL = 7
    MARKET_NOTIONAL = 8
    TOTAL_NOTIONAL = 9
    ORDER_RATE = 10
    INSUFFICIENT_CASH = 11
    NEAR_EXPIRY = 12
    WOULD_CROSS_OWN = 13
    ORDERS_OPEN_MAX = 14
    INSUFFICIENT_SHARES = 15
    PRIVATE_STREAM_LOST = 16
    NOT_RECOVERED = 17  # what earlier runs have left is not known yet
    FILLS_UNSEEN = 18  # the last sign of the private feed, or its last read-back, is too old
    UNEXPLAINED = 19  # what is held of the token contradicts the books
    # strategies and planner
    NO_EDGE = 32
    MIN_NOTIONAL = 33
    UNPROFITABLE_AFTER_COSTS = 34
    NOT_EXHAUSTIVE = 35
    UNCHANGED = 36
    SUPERSEDED = 37
    RING_FULL = 38
    STRATEGY_FAILED = 39
    CONTRADICTION = 40  # what the venue says of a fill cannot be: its market is halted
    REVIVED = 41  # an order that was proven dead is alive
    # the signer's own policy
    POLICY_TOKEN = 64
    POLICY_PRICE = 65
    POLICY_SIZE = 66
    POLICY_NOTIONAL = 67
    POLICY_RATE = 68
    POLICY_CHAIN = 69
    ORDER_LOG = 70
    CORE_SILENT = 71
    GENERATION = 72
    CLOCK_SKEW = 73
    HEARTBEAT_GAP = 74
    ORDER_AGE = 75
    # the venue, refused for certain
    VENUE_REJECTED = 96
    VENUE_TICK = 97
    VENUE_MIN_SIZE = 98
    VENUE_DUPLICATED = 99
    VENUE_BALANCE = 100
    VENUE_EXPIRATION = 101
    VENUE_POST_ONLY_CROSSES = 102
    VENUE_KILLED = 103
    VENUE_NOT_READY = 104
    VENUE_AUTH = 105
    VENUE_BANNED = 106
    VENUE_SIGNATURE = 107
    VENUE_AMOUNTS = 108
    VENUE_VERSION = 109
    VENUE_RATE = 110
    VENUE_RESTARTING = 111
    VENUE_POST_ONLY_MODE = 112
    VENUE_DISABLED = 113
    VENUE_CANCEL_ONLY = 114
    VENUE_NOT_FOUND = 115
    VENUE_CLOSED_ONLY = 116
    # outcome not seen
    NO_CONNECTION = 128  # nothing left this machine: definitive
    TIMEOUT = 129
    CONNECTION_LOST = 130
    VENUE_ERROR = 131
    UNREADABLE_ANSWER = 132
    # ends of an order
    CANCELED = 160
    FILLED = 161
    EXPIRED = 162
    MARKET_RESOLVED = 163
    # halts
    HALT_OPERATOR = 192
    HALT_SIGNER_LOST = 193
    HALT_FEED_LOST = 194
    HALT_RECORDER_LOST = 195
    HALT_RING_FULL = 196
    HALT_BALANCE = 197
    HALT_HASH_MISMATCH = 198
    HALT_STOPPING = 199
    HALT_CORE_LOST = 200
    HALT_VENUE_LOST = 201
    HALT_RECORD_DAMAGED = 202
    HALT_ORDER_LOG = 203
    HALT_RUNTIME_LOST = 204
    HALT_NOT_STORED = 205  # of an earlier run: its latch could not be written
