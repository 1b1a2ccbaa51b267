"""The two disciplines, and falling asleep, put before the explorer.

Each check returns what can go wrong, None when nothing can. The writer's and the reader's
operations are the kernels' own (`recorder`); only what stands around a call is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from explorer import Do, Op, Order, Thread, Trace, explore
from recorder import (
    HEAD,
    SLOTS,
    TAIL,
    WAITING,
    WAKES,
    WORDS,
    Bug,
    Noted,
    Notes,
    Rows,
    kernel,
    local,
    rows,
    runs,
    word,
)

from engine.bus.ring_kernels import DAMAGED, DONE, DONE_WAKE, LOST, POSITION

NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class Writing:
    """What writers do to a broadcast ring. lives: which of them each record is at last from."""

    trace: Trace
    lives: Sequence[int]

    def stored(self, address: int) -> list[int]:
        """Return what may ever be found at an address."""
        return sorted({0} | {op.value for op in self.trace if op.address == address and op.value})

    def spoiling(self, address: int, number: int) -> int:
        """Return the operations, as bits, that begin to write record `number` or a later one;
        address: of its stamp."""
        stamps = [(i, op.value or 0) for i, op in enumerate(self.trace) if op.address == address]
        return sum(
            1 << i
            for at, (i, value) in enumerate(stamps)
            if next((later for _, later in stamps[at:] if later), value) > number
        )


def published(
    capacity: int, batches: Sequence[int], bug: Bug | None = None, killed_after: int = NEVER
) -> Writing:
    """Return what a writer of these batches does, and its successor if it is killed.

    killed_after: how many operations it lives for; the successor knows only the ring and publishes
    other records of the same numbers.
    """
    publish = kernel("publish_broadcast", bug)

    def life(ring: Notes, first: int, sizes: Sequence[int], number: int) -> None:
        mine = local(capacity, first)
        for size in sizes:
            publish(ring, rows(mine[POSITION], size, number), mine)

    total = sum(batches)
    ring = Notes(capacity, lambda _: 0)
    life(ring, 0, batches, 0)
    trace = ring.ops[:killed_after]
    if len(trace) == len(ring.ops):
        return Writing(trace, [0] * total)
    head = max((op.value or 0 for op in trace if op.address == HEAD), default=0)
    heir = Notes(capacity, lambda _: 0)
    life(heir, head, [total - head], 1)
    # Between a process's death and its successor's attaching lies the kernel: a full fence.
    trace = [*trace, Op(Do.FENCE, Order.FULL), *heir.ops]
    return Writing(trace, [0] * head + [1] * (total - head))


def check_broadcast(
    capacity: int, batches: Sequence[int], bug: Bug | None = None, killed_after: int = NEVER
) -> str | None:
    """Poll at any moment from any position: every record whole, in order, and losses exact."""
    poll = kernel("poll_broadcast", bug)
    writing = published(capacity, batches, bug, killed_after)
    writer = Thread(writing.trace)
    for start in range(len(writing.lives)):
        stamp = SLOTS + capacity * WORDS + start % capacity
        lapping = writing.spoiling(stamp, start + capacity)

        def play(ring: Notes, start: int = start) -> tuple[Rows, int, list[int]]:
            mine, out = local(capacity, start), Rows(2)
            return out, poll(ring, out, mine), mine

        for trace, (out, count, mine) in runs(capacity, writing.stored, play):
            polled = Polled(start, mine[POSITION] - count, count, mine[LOST])
            lives = [writing.lives[polled.first + i] for i in range(count)]
            reader = Thread(_expecting(trace, out, polled.first, lives))
            complaint = explore([writer, reader], partial(polled.complaint, lapping))
            if complaint:
                return complaint
    return None


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll from position `start` returned, and said it lost."""

    start: int
    first: int
    count: int
    lost: int

    def complaint(self, lapping: int, done: Sequence[int], is_deceived: bool) -> str | None:
        """Return what is wrong with it; lapping: the writer's operations that spoil `start`."""
        if is_deceived:
            return f"torn: {self}"
        if self.lost < 0 or self.first != self.start + self.lost:
            return f"miscounted: {self}"
        if self.lost and not done[0] & lapping:
            return f"lost without being lapped: {self}"
        return None


def check_queue(
    capacity: int, batches: Sequence[int], rooms: Sequence[int], bug: Bug | None = None
) -> str | None:
    """Offer and poll at any moments: what is taken is what was offered, in order and whole, and no
    sound record is taken for a damaged one.

    batches: the records of each offer, tried once more when it is refused.  rooms: of each poll.
    """
    offer, poll = kernel("offer_queue", bug), kernel("poll_queue", bug)
    positions = range(sum(batches) + 1)

    def write(ring: Notes) -> None:
        mine = local(capacity, 0)
        for size in batches:
            some = rows(mine[POSITION], size)
            if offer(ring, some, mine) < DONE:
                offer(ring, some, mine)

    def read(ring: Notes) -> tuple[list[Noted], bool]:
        mine, found = local(capacity, 0), []
        for room in rooms:
            out = Rows(room)
            count = poll(ring, out, mine)
            found += [out[i, w] for i in range(count) for w in range(WORDS)]
        return found, mine[DAMAGED] > 0

    def candidates(address: int) -> Sequence[int]:
        is_stamp = address >= SLOTS + capacity * WORDS
        return positions if is_stamp or address in (HEAD, TAIL) else (0,)

    writers = [Thread(trace) for trace, _ in runs(capacity, candidates, write)]
    for trace, (found, is_refused) in runs(capacity, candidates, read):
        wanted = {at.at: word(k // WORDS, k % WORDS) for k, at in enumerate(found)}
        reader = Thread([replace(op, wanted=wanted.get(i)) for i, op in enumerate(trace)])
        for writer in writers:
            complaint = explore(
                [writer, reader],
                lambda _, is_deceived: (
                    "refused" if is_refused else "torn" if is_deceived else None  # noqa: B023
                ),
            )
            if complaint:
                return complaint
    return None


def check_sleep(writes: str, bug: Bug | None = None) -> str | None:
    """Sleep and sleep again while two records are written one by one: nobody sleeps over one.

    writes: the kernel that does it.
    """
    write = kernel(writes, bug)

    def play(ring: Notes) -> int:
        mine = local(4, 0)
        for number in range(2):
            if write(ring, rows(number, 1), mine) == DONE_WAKE:
                ring.wake()
        return ring.wakes

    writers = list(runs(4, lambda address: (0, 1) if address == WAITING else (0,), play))
    for trace, wakes in writers:
        writer = Thread(trace)
        for times, position, woken in product((1, 2), (0, 1), range(wakes + 1)):
            reader = Thread(sleeping(times, position, woken))
            # All is published, and whoever woke somebody did so before the reader lay down.
            is_missed = wakes == woken
            complaint = explore(
                [writer, reader],
                lambda done, _: (
                    "asleep, and nobody will wake it"
                    if is_missed and done[0] == writer.whole  # noqa: B023
                    else None
                ),
            )
            if complaint:
                return complaint
    return None


def check_order(bug: Bug | None = None, *, looks_ahead: bool = False) -> str | None:
    """Offer a report to one queue, let a word travel, have it answered on another queue: who reads
    the answer finds the report by a mere look at the first.

    So a core hears of an order (`exec`) before its fill (`private`).  looks_ahead: it has looked at
    both queues before it reads from either.
    """
    offer, poll = kernel("offer_queue", bug), kernel("poll_queue", bug)
    own, wire = 100, 99  # where the other queue's words begin; the word that travels
    ((offered, _),) = runs(2, lambda _: (0,), lambda ring: offer(ring, rows(0, 1), local(2, 0)))
    found = {HEAD: (0, 1), SLOTS + 2 * WORDS: (1,)}
    polled = runs(2, lambda at: found.get(at, (0,)), lambda ring: poll(ring, Rows(1), local(2, 0)))
    (reading,) = (trace for trace, count in polled if count)
    reports = [replace(op, address=op.address + own) for op in offered]
    signer = Thread([*reports, Op(Do.STORE, Order.RELEASE, wire, 1)])
    feed = Thread([Op(Do.LOAD, Order.ACQUIRE, wire, 1), *offered])
    looks = Op(Do.LOAD, address=HEAD, value=1), Op(Do.LOAD, address=own + HEAD, wanted=1)
    core = [*looks, *reading] if looks_ahead else [looks[0], *reading, looks[1]]
    return explore(
        [signer, feed, Thread(core)], lambda _, is_deceived: "unheard of" if is_deceived else None
    )


def sleeping(times: int, position: int, woken: int) -> Trace:
    """Return what a reader does that lies down `times` times and stays asleep at the last.

    Lying down is: say so; then, in the kernel, a full fence, join those who can be woken, and sleep
    if head is still `position`. What came of the earlier times does not matter; before the last one
    the reader has read up to `position`.  woken: the calls that came too early for the last time.
    """
    says_so = [Op(Do.STORE, Order.PLAIN, WAITING, 1), Op(Do.FENCE, Order.FULL)]
    reads = [Op(Do.LOAD, Order.ACQUIRE, HEAD, position)] * bool(position)
    joins = Op(Do.LOAD, Order.ACQUIRE, WAKES, woken)
    finds_nothing = Op(Do.LOAD, Order.ACQUIRE, HEAD, position)
    return [*says_so * (times - 1), *reads, *says_so, joins, finds_nothing]


def _expecting(trace: Trace, out: Rows, first: int, lives: Sequence[int]) -> Trace:
    """Return a reader's trace whose loads know what they have to find for each record delivered."""
    wanted = {
        out[i, w].at: word(first + i, w, life) for i, life in enumerate(lives) for w in range(WORDS)
    }
    return [replace(op, wanted=wanted.get(i)) for i, op in enumerate(trace)]
