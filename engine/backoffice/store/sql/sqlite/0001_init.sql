-- One tape, as tables. Everything here can be deleted and rebuilt: halftick tape project TAPE --db FILE.
-- Money, prices and sizes are integer micros; *_ns are nanoseconds since the epoch, 0 = never.

CREATE TABLE projection (
    run_id        TEXT PRIMARY KEY,          -- 64 bits, hexadecimal
    params_sha256 TEXT    NOT NULL,
    start_ns      INTEGER NOT NULL,
    entries       INTEGER NOT NULL,          -- entries of the tape that are in these tables
    lost          INTEGER NOT NULL,          -- records missing from the tape
    damaged       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE strategies (
    strategy INTEGER PRIMARY KEY,
    name     TEXT NOT NULL
);

CREATE TABLE markets (
    condition_id TEXT PRIMARY KEY,
    slug         TEXT    NOT NULL,
    neg_risk     INTEGER NOT NULL,
    open_s       INTEGER NOT NULL,
    close_s      INTEGER NOT NULL,
    status       INTEGER NOT NULL,           -- engine.wire.codes.MarketStatus
    payout_up    INTEGER                     -- NULL until resolved
) WITHOUT ROWID;

CREATE TABLE instruments (
    instrument   INTEGER PRIMARY KEY,
    token_id     TEXT    NOT NULL,
    condition_id TEXT    NOT NULL REFERENCES markets,
    outcome      INTEGER NOT NULL,           -- 0 Up, 1 Down
    complement   INTEGER NOT NULL,
    tick         INTEGER NOT NULL,
    fee_curve    INTEGER NOT NULL,
    fee_rate_ppm INTEGER NOT NULL,
    fee_exponent INTEGER NOT NULL
);

CREATE TABLE orders (
    order_id     TEXT PRIMARY KEY,           -- 64 bits, hexadecimal
    sequence     INTEGER NOT NULL,
    trace        INTEGER NOT NULL,           -- the record that caused it
    instrument   INTEGER NOT NULL,
    strategy     INTEGER NOT NULL,
    leg          INTEGER NOT NULL,
    side         INTEGER NOT NULL,
    tif          INTEGER NOT NULL,
    post_only    INTEGER NOT NULL,
    price        INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    budget       INTEGER NOT NULL,
    order_hash   TEXT,
    state        TEXT    NOT NULL,           -- the last kind of record that spoke of it
    reason       TEXT    NOT NULL,           -- engine.wire.codes.Reason
    trigger_ns   INTEGER NOT NULL,
    decided_ns   INTEGER NOT NULL,
    published_ns INTEGER NOT NULL DEFAULT 0,
    polled_ns    INTEGER NOT NULL DEFAULT 0,
    signed_ns    INTEGER NOT NULL DEFAULT 0,
    logged_ns    INTEGER NOT NULL DEFAULT 0,
    sent_ns      INTEGER NOT NULL DEFAULT 0,
    answered_ns  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX orders_by_hash ON orders (order_hash);

CREATE TABLE fills (
    trade_id   TEXT    NOT NULL,
    order_hash TEXT    NOT NULL,
    leg        INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    instrument INTEGER NOT NULL,
    side       INTEGER NOT NULL,
    liquidity  INTEGER NOT NULL,             -- 0 taker, 1 maker
    settlement INTEGER NOT NULL,             -- engine.wire.codes.Settlement; 5 FAILED does not count
    price      INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    notional   INTEGER NOT NULL,
    fee        INTEGER NOT NULL,
    venue_ns   INTEGER NOT NULL,
    local_ns   INTEGER NOT NULL,
    PRIMARY KEY (trade_id, order_hash, leg)
) WITHOUT ROWID;

CREATE TABLE decisions (
    instrument INTEGER NOT NULL,
    strategy   INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (instrument, strategy, reason)
) WITHOUT ROWID;

CREATE TABLE touches (                       -- the last of every second of venue time
    instrument INTEGER NOT NULL,
    venue_s    INTEGER NOT NULL,
    bid        INTEGER NOT NULL,
    ask        INTEGER NOT NULL,
    local_ns   INTEGER NOT NULL,
    PRIMARY KEY (instrument, venue_s)
) WITHOUT ROWID;

CREATE TABLE equity (                        -- the last of every second of local time
    local_s  INTEGER PRIMARY KEY,
    venue_ns INTEGER NOT NULL,
    cash     INTEGER NOT NULL,
    equity   INTEGER NOT NULL
);

CREATE VIEW latency AS                       -- nanoseconds by stage, one row an order sent on a tick
SELECT order_id,
       sent_ns - trigger_ns       AS tick_to_trade,
       decided_ns - trigger_ns    AS received_to_polled,
       published_ns - decided_ns  AS polled_to_published,
       polled_ns - published_ns   AS published_to_signer,
       signed_ns - polled_ns      AS signed,
       logged_ns - signed_ns      AS logged,
       sent_ns - logged_ns        AS sent
FROM orders
WHERE min(trigger_ns, published_ns, polled_ns, signed_ns, logged_ns, sent_ns) > 0
  AND trigger_ns < decided_ns;

CREATE VIEW positions AS                     -- what the standing fills add up to
SELECT f.instrument,
       o.strategy,
       count(*)                                                           AS fills,
       sum(CASE f.side WHEN 0 THEN f.size ELSE -f.size END)               AS shares,
       sum(CASE f.side WHEN 0 THEN -f.notional ELSE f.notional END - f.fee) AS cash,
       sum(f.fee)                                                         AS fees
FROM fills AS f
LEFT JOIN orders AS o USING (order_hash)
WHERE f.settlement <> 5
GROUP BY f.instrument, o.strategy;
