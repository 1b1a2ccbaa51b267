"""Every execution of a few threads on a machine that reorders whatever it may.

The machine is weaker than x86 and ARM: one memory, as on both, but a thread's loads and stores take
effect in *any* order that the rules of `must_follow` leave open (C11's acquire, release and fences;
one location never goes backwards). No order is granted for an address or a branch that depends on
a load, and stores may wait in their buffer for as long as they like. What is right here is right
there.

A thread is a straight line of operations: a load that decides a branch carries the value it is
presumed to find, and an execution in which it finds another one is another trace's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

Trace = Sequence["Op"]


class Do(Enum):
    """What an operation is."""

    LOAD = "load"
    STORE = "store"
    FENCE = "fence"


class Order(Enum):
    """How it is ordered: plainly, as an acquire, as a release, or fully."""

    PLAIN = "plain"
    ACQUIRE = "acquire"
    RELEASE = "release"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. value: what is stored, or what a load must find for the trace to be.

    wanted: of a load with no `value`, what it has to find for the thread not to be deceived.
    """

    do: Do
    order: Order = Order.PLAIN
    address: int = -1
    value: int | None = None
    wanted: int | None = None


def must_follow(trace: Trace, first: int, second: int) -> bool:
    """Return whether operation `second` takes effect after `first`, which is before it in the
    program; what follows from two such pairs need not be said."""
    a, b = trace[first], trace[second]
    if a.do is Do.FENCE or b.do is Do.FENCE:
        fence, other = (a, b) if a.do is Do.FENCE else (b, a)
        if fence.order is Order.FULL or other.do is Do.FENCE:
            return True
        # Acquire: loads before it, everything after it. Release: everything before, stores after.
        if fence is a:
            return fence.order is Order.ACQUIRE or other.do is Do.STORE
        return fence.order is Order.RELEASE or other.do is Do.LOAD
    return a.address == b.address or a.order is Order.ACQUIRE or b.order is Order.RELEASE


class Thread:
    """A trace and, worked out once, what of it has to wait for what."""

    __slots__ = ("before", "holds_all", "ops", "whole")

    def __init__(self, ops: Trace) -> None:
        pairs = [[must_follow(ops, i, j) for i in range(j)] for j in range(len(ops))]
        self.ops = tuple(ops)
        self.whole = (1 << len(ops)) - 1
        # before[j]: the operations, as bits, that come first; holds_all[i]: whether all later wait.
        self.before = [sum(1 << i for i, waits in enumerate(row) if waits) for row in pairs]
        self.holds_all = [all(row[i] for row in pairs[i + 1 :]) for i in range(len(ops))]

    def ready(self, done: int) -> Iterator[int]:
        """Yield the operations that may take effect next, after those in `done`."""
        first = (~done & (done + 1)).bit_length() - 1
        for j in range(first, len(self.ops)):
            if done >> j & 1:
                continue
            if not self.before[j] & ~done:
                yield j
            if self.holds_all[j]:
                return


def explore(
    threads: Sequence[Thread],
    verdict: Callable[[Sequence[int], bool], str | None],
) -> str | None:
    """Return the first complaint of `verdict` over all executions, None if there is none.

    All memory is 0 at first.  verdict: is asked whenever the last thread is through, with the
    operations of each thread that have taken effect (as bits) and whether a load found something
    else than `wanted`.
    """
    # What has taken effect says what an address holds, unless more than one thread stores to it.
    stores = [{op.address for op in t.ops if op.do is Do.STORE} for t in threads]
    disputed = sorted({a for n, mine in enumerate(stores) for a in mine & set().union(*stores[:n])})
    State = tuple[tuple[int, ...], bool, tuple[int, ...]]
    start: State = ((0,) * len(threads), False, (0,) * len(disputed))
    seen = {start}
    stack: list[tuple[State, dict[int, int]]] = [(start, {})]
    while stack:
        (done, is_deceived, _), memory = stack.pop()
        if done[-1] == threads[-1].whole:
            complaint = verdict(done, is_deceived)
            if complaint:
                return complaint
        for t, thread in enumerate(threads):
            for j in thread.ready(done[t]):
                op = thread.ops[j]
                found, now = memory.get(op.address, 0), memory
                if op.do is Do.LOAD and op.value not in (None, found):
                    continue
                if op.do is Do.STORE:
                    now = {**memory, op.address: op.value or 0}
                is_wrong = op.wanted not in (None, found)
                after = (*done[:t], done[t] | 1 << j, *done[t + 1 :])
                state = (after, is_deceived or is_wrong, tuple(now.get(a, 0) for a in disputed))
                if state not in seen:
                    seen.add(state)
                    stack.append((state, now))
    return None
