"""Judges one round by the venue's ledger, the order log and the tapes. Imports no engine code.

Each rule is a function from the evidence to sentences; a sentence is a violation. The rules are in
`RULES` by the invariant they hold a run to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from siege.evidence import Evidence
from siege.exposure import exposures
from siege.order_log import ACKED, DONE, REJECTED, SIGNED

UNKNOWN_S_MAX = 10.0
FOREIGN_SEEN_MS = 6_000
HALT_MS_MAX = 50
TRACEBACK = "Traceback (most recent call last)"
REVERSED, UNREADABLE = 5, 0  # settlements: FAILED, and a word that is not known

Rule = Callable[[Evidence], Iterator[str]]


def duplicates(seen: Evidence) -> Iterator[str]:
    """I2: of one intent, at most one order reaches the venue; of one decision, one attempt."""
    accepted = {row["order_hash"] for row in seen.ledger.own_orders()}
    hashes: dict[tuple[int, int], set[str]] = defaultdict(set)
    for entry in seen.log:
        if entry.kind == SIGNED:
            hashes[entry.run_id, entry.order_id].add(entry.order_hash)
    for (run_id, order_id), signed in hashes.items():
        if len(signed & accepted) > 1:
            yield f"two orders of one intent: run={run_id:x}, order_id={order_id:x}"
    ids: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for tape in seen.tapes:
        for order in tape.orders:
            if hashes[order.run_id, order.order_id] & accepted:
                ids[order[:1] + order[2:]].add(order.order_id)
    for decision, orders in ids.items():
        if len(orders) > 1:
            yield f"two orders of one decision: run={decision[0]:x}, orders={len(orders)}"


def unlogged(seen: Evidence) -> Iterator[str]:
    """I3: what the venue accepted of the run was in its order log before."""
    signed = {entry.order_hash for entry in seen.log if entry.kind == SIGNED}
    for row in seen.ledger.own_orders():
        if row["order_hash"] not in signed:
            yield f"an order that is in no order log: order_hash={row['order_hash']}"


def lost_fills(seen: Evidence) -> Iterator[str]:
    """I4: every fill of the venue is on a tape."""
    if not seen.reads_back:
        return
    taped = {(fill.trade_id, fill.order_hash) for tape in seen.tapes for fill in tape.fills}
    for row in seen.ledger.of("fill"):
        if (_trade(row["trade_id"]), row["order_hash"]) not in taped:
            yield f"a fill that is on no tape: trade_id={row['trade_id']}, size={row['size']}"


def invented_fills(seen: Evidence) -> Iterator[str]:
    """I5: no tape has a fill that the venue did not make."""
    made = {(_trade(row["trade_id"]), row["order_hash"]) for row in seen.ledger.of("fill")}
    for tape in seen.tapes:
        for fill in set(tape.fills):
            if fill.settlement in (UNREADABLE, REVERSED):
                continue
            if (fill.trade_id, fill.order_hash) not in made:
                yield f"a fill that was never made: trade_id={fill.trade_id}, size={fill.size}"


def over_limit(seen: Evidence) -> Iterator[str]:
    """I1: no order takes what is at risk above the limit, whatever earlier runs have left."""
    if not seen.limit_micros:
        return
    for order, micros in exposures(seen.ledger, FOREIGN_SEEN_MS):
        if micros > seen.limit_micros:
            yield (
                f"exposure above the limit: exposure_micros={micros}, "
                f"limit_micros={seen.limit_micros}, order_hash={order['order_hash']}"
            )
            return


def positions(seen: Evidence) -> Iterator[str]:
    """I6: what the core believes to hold is what the venue's ledger says."""
    for quiet in seen.quiets:
        if quiet.core_shares != quiet.venue_shares:
            yield (
                f"positions differ: when={quiet.when}, core={quiet.core_shares}, "
                f"venue={quiet.venue_shares}"
            )


def unknown_orders(seen: Evidence) -> Iterator[str]:
    """I10: ten seconds after the venue is well, no order is unknown; its log tells how it ended."""
    if seen.unknown_s is None or seen.unknown_s > UNKNOWN_S_MAX:
        yield f"orders unknown for too long: seconds={seen.unknown_s}"
    if not seen.stops or seen.stops[-1].exit_code != 0:
        return
    told = {entry.order_hash for entry in seen.log if entry.kind in (ACKED, REJECTED, DONE)}
    for entry in seen.log:
        if entry.kind == SIGNED and entry.order_hash not in told:
            yield f"an order without an end: order_hash={entry.order_hash}"


def sent_after_halt(seen: Evidence) -> Iterator[str]:
    """I9: the venue receives no order later than 50 ms after the halt was commanded."""
    for late_ms in seen.halted_orders_ms:
        if late_ms > HALT_MS_MAX:
            yield f"an order after the halt: late_ms={late_ms}"


def orders_left(seen: Evidence) -> Iterator[str]:
    """I9: a clean stop leaves no order of the run at the venue."""
    for stop in seen.stops:
        if stop.exit_code == 0:
            for order_hash in sorted(stop.alive):
                yield f"alive after a clean stop: when={stop.when}, order_hash={order_hash}"


def tracebacks(seen: Evidence) -> Iterator[str]:
    """No process speaks to its operator in tracebacks."""
    for name, text in seen.outputs.items():
        if TRACEBACK in text:
            tail = text[text.index(TRACEBACK) :].strip().splitlines()
            yield f"a traceback: output={name}, last={tail[-1][:160]}"


def leaked_secrets(seen: Evidence) -> Iterator[str]:
    """I14: no file of a run and no output has a secret in it."""
    texts = {name: text.encode(errors="replace") for name, text in seen.outputs.items()}
    for name, data in {**seen.files, **texts}.items():
        for secret, mark in seen.secrets.items():
            if mark in data:
                yield f"a secret in a file: file={name}, secret={secret}"


def redirected(seen: Evidence) -> Iterator[str]:
    """I14: signed requests never follow a redirect."""
    if seen.redirected:
        yield f"requests at another address: requests={seen.redirected}"


def cash(seen: Evidence) -> Iterator[str]:
    """I7: the core's money is the venue's, to the micro."""
    for quiet in seen.quiets:
        if quiet.core_cash != quiet.venue_cash:
            yield (
                f"cash differs: when={quiet.when}, core={quiet.core_cash}, venue={quiet.venue_cash}"
            )


RULES: dict[str, tuple[Rule, ...]] = {
    "I1 exposure": (over_limit,),
    "I2 duplicate orders": (duplicates,),
    "I3 order log": (unlogged,),
    "I4 lost fills": (lost_fills,),
    "I5 invented fills": (invented_fills,),
    "I6 positions": (positions,),
    "I7 cash": (cash,),
    "I9 halt": (sent_after_halt,),
    "I9 orders left": (orders_left,),
    "I10 unknown": (unknown_orders,),
    "I14 secrets": (leaked_secrets, redirected),
    "tracebacks": (tracebacks,),
}


def check(seen: Evidence) -> list[tuple[str, str]]:
    """Return every violation of a round: the invariant and a sentence."""
    return [(name, text) for name, rules in RULES.items() for rule in rules for text in rule(seen)]


def _trade(trade_id: str) -> str:
    return trade_id.replace("-", "")
