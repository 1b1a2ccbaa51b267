"""The rings' protocol over every interleaving and reordering, from the kernels' own source."""

from __future__ import annotations

import pytest
from explorer import Do, Op, Order, Thread, explore
from protocol import check_broadcast, check_order, check_queue, check_sleep, published
from recorder import Bug

PUBLISH, FOLLOW, OFFER, TAKE = "publish_broadcast", "poll_broadcast", "offer_queue", "poll_queue"
LOOK = "if load_acquire(ring, stamps + index) != position + 1:\n                break\n            "
HASTY_LOOK = LOOK.replace("load_acquire(ring, stamps + index)", "ring[stamps + index]")
LATE = "is_anyone_asleep = take_back_waiting(ring) or is_anyone_asleep"
RELEASE_HEAD = "store_release(ring, HEAD_WORD, position)"
PLAIN_HEAD = "ring[HEAD_WORD] = position"

# Capacity and the writer's batches: the smallest in which each of these mistakes does harm.
SMALL, HALVES, WHOLE = (2, [2, 1]), (4, [6]), (4, [4, 4])


@pytest.mark.parametrize(("capacity", "batches"), [(2, [1, 2, 1]), SMALL, HALVES])
def test_a_broadcast_reader_is_never_deceived(capacity: int, batches: list[int]):
    """Wherever it stands and whenever it looks: no torn record, no false or miscounted loss."""
    assert check_broadcast(capacity, batches) is None


def test_a_writer_may_die_after_any_of_its_steps():
    """Killed anywhere and followed by another, the two deceive nobody together."""
    for killed_after in range(len(published(*SMALL).trace)):
        assert check_broadcast(*SMALL, killed_after=killed_after) is None, killed_after


def test_a_queue_neither_loses_nor_tears():
    """Offers and polls at any moments, with the queue full and empty and wrapping."""
    assert check_queue(2, [1, 2, 1], [1, 2, 2]) is None
    assert check_queue(2, [2, 1, 1], [2, 1, 2]) is None


@pytest.mark.parametrize("writes", [PUBLISH, OFFER])
def test_no_sleeper_is_missed(writes: str):
    """A reader that goes to sleep while records are written finds them or is woken."""
    assert check_sleep(writes) is None


@pytest.mark.parametrize(
    ("bug", "case", "harm"),
    [
        (Bug(PUBLISH, "fence_release()"), SMALL, "torn"),
        (Bug(PUBLISH, "store_release(ring, stamps + index, 0)"), SMALL, "torn"),
        (Bug(PUBLISH, RELEASE_HEAD, PLAIN_HEAD), SMALL, "lost without being lapped"),
        (Bug(PUBLISH, "unpublished == capacity >> 1", "False"), WHOLE, "miscounted"),
        (Bug(FOLLOW, "fence_acquire()"), SMALL, "torn"),
        (Bug(FOLLOW, LOOK + "count", "count"), SMALL, "torn"),
        (Bug(FOLLOW, LOOK + "slot", HASTY_LOOK + "slot"), HALVES, "miscounted"),
    ],
    ids=lambda value: value.line.splitlines()[0] if isinstance(value, Bug) else None,
)
def test_a_mistake_in_the_broadcast_is_found(bug: Bug, case: tuple[int, list[int]], harm: str):
    """Each fence, mark and second look left out of the source is found out, by what it breaks."""
    complaint = check_broadcast(*case, bug)
    assert complaint is not None
    assert harm in complaint


@pytest.mark.parametrize(
    "bug",
    [
        Bug(OFFER, RELEASE_HEAD, PLAIN_HEAD),
        Bug(OFFER, "load_acquire(ring, TAIL_WORD)", "ring[TAIL_WORD]"),
        Bug(TAKE, "load_acquire(ring, HEAD_WORD)", "ring[HEAD_WORD]"),
        Bug(TAKE, "store_release(ring, TAIL_WORD, position)", "ring[TAIL_WORD] = position"),
    ],
    ids=lambda bug: bug.line,
)
def test_a_mistake_in_the_queue_is_found(bug: Bug):
    """Each order that a queue relies on is found missing: it tears, or refuses what is sound."""
    assert check_queue(2, [1, 2, 1], [1, 2, 2], bug) in ("torn", "refused")


@pytest.mark.parametrize(
    "bug",
    [
        Bug(PUBLISH, "fence_full()"),
        Bug(PUBLISH, "is_anyone_asleep or load_acquire(ring, WAITING_WORD)", "is_anyone_asleep"),
        Bug(PUBLISH, "is_anyone_asleep or ", ""),
        Bug(PUBLISH, "return DONE_WAKE", f"{LATE}\n    return DONE_WAKE"),
        Bug(OFFER, "fence_full()"),
        Bug(OFFER, "return DONE_WAKE", f"{LATE}\n    return DONE_WAKE"),
    ],
    ids=lambda bug: f"{bug.kernel}: {bug.line}",
)
def test_a_mistake_in_waking_is_found(bug: Bug):
    """A look at the sleepers that is too early or missing, or a word taken back too late, leaves
    one asleep."""
    assert check_sleep(bug.kernel, bug) == "asleep, and nobody will wake it"


def test_a_look_is_enough_once_what_came_later_was_read():
    """Who has polled a fill sees by a plain look that the order's own queue has news."""
    assert check_order() is None


def test_a_look_before_reading_what_came_later_proves_nothing():
    """Looking at all queues first, or polling without acquire, leaves a fill of an order nobody
    has heard of."""
    assert check_order(looks_ahead=True) == "unheard of"
    hasty = Bug(TAKE, "load_acquire(ring, HEAD_WORD)", "ring[HEAD_WORD]")
    assert check_order(hasty) == "unheard of"


@pytest.mark.parametrize(
    ("writer", "reader", "is_possible"),
    [
        ("", "", True),
        ("release", "", True),
        ("", "acquire", True),
        ("release", "acquire", False),
        ("fence", "fence", False),
    ],
)
def test_the_explorer_knows_message_passing(writer: str, reader: str, is_possible: bool):
    """Data written before a flag may be missed by who saw the flag, unless both sides forbid it."""
    flag, data = 0, 1
    released = Order.RELEASE if writer == "release" else Order.PLAIN
    acquired = Order.ACQUIRE if reader == "acquire" else Order.PLAIN
    store = [Op(Do.STORE, address=data, value=1), Op(Do.STORE, released, flag, 1)]
    load = [Op(Do.LOAD, acquired, flag, 1), Op(Do.LOAD, address=data, wanted=1)]
    if writer == "fence":
        store.insert(1, Op(Do.FENCE, Order.RELEASE))
        load.insert(1, Op(Do.FENCE, Order.ACQUIRE))
    stale = explore([Thread(store), Thread(load)], lambda _, missed: "stale" if missed else None)
    assert (stale is not None) is is_possible


@pytest.mark.parametrize("has_fence", [False, True])
def test_the_explorer_knows_store_buffers(has_fence: bool):
    """Two that store and then look at the other may both miss it, unless a full fence stands
    between."""
    fence = [Op(Do.FENCE, Order.FULL)] * has_fence
    sides = [
        Thread([Op(Do.STORE, address=me, value=1), *fence, Op(Do.LOAD, address=1 - me, value=0)])
        for me in (0, 1)
    ]
    both = explore(sides, lambda done, _: "both" if done[0] == sides[0].whole else None)
    assert (both is None) is has_fence
