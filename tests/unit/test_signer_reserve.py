"""Descriptors in reserve: given up when there are no others, and taken back."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import pytest
from deadlines import PATIENCE_S

from signer.reserve import Reserve

SIZE = 3


class Machine:
    """A process that has a number of descriptors to give, and the reserve that lives on it."""

    def __init__(self) -> None:
        self.changes: list[bool] = []
        self.reserve = Reserve(SIZE, self.changes.append)
        self._taken: list[int] = []
        self.take()

    def take(self) -> int:
        """Open whatever there is to open; return how much it was."""
        before = len(self._taken)
        with suppress(OSError):
            while True:
                self._taken.append(os.open(os.devnull, os.O_RDONLY))
        return len(self._taken) - before

    def give(self, count: int) -> None:
        """Close some of what was taken."""
        for _ in range(count):
            os.close(self._taken.pop())

    def close(self) -> None:
        """Close everything."""
        self.reserve.close()
        self.give(len(self._taken))

    async def until_changed(self, times: int) -> None:
        """Wait until the reserve has said something so many times."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.changes) < times:
                await asyncio.sleep(0.001)


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Let this process open little more than it has open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 4 * SIZE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    """A process without a single descriptor to give; its loop has all it needs."""
    with few_descriptors():
        machine = Machine()
        try:
            yield machine
        finally:
            machine.close()


async def test_a_failure_with_descriptors_left_leaves_the_reserve_alone(machine: Machine) -> None:
    """A venue that is down is no reason to give anything up."""
    machine.give(2 * SIZE)
    machine.reserve.start()
    assert machine.take() == SIZE
    machine.give(SIZE)
    machine.reserve.on_failure()
    assert machine.changes == []
    assert machine.take() == SIZE


async def test_a_failure_for_want_of_descriptors_frees_the_whole_reserve(machine: Machine) -> None:
    """Whoever connects next finds as many descriptors as were held, and it is said once."""
    machine.give(2 * SIZE)
    machine.reserve.start()
    assert machine.take() == SIZE
    machine.reserve.on_failure()
    machine.reserve.on_failure()
    assert machine.changes == [True]
    assert machine.reserve.is_short
    assert machine.take() == SIZE


async def test_the_reserve_is_back_when_as_many_are_free_beside_it(machine: Machine) -> None:
    """With one too few it is short, with that one it is held, and what it does not hold is free."""
    machine.give(2 * SIZE - 1)
    machine.reserve.start()
    assert machine.changes == [True]
    machine.give(1)
    await machine.until_changed(2)
    assert machine.changes == [True, False]
    assert machine.take() == SIZE


async def test_a_closed_reserve_holds_nothing(machine: Machine) -> None:
    """Closing gives everything back, and once is enough."""
    machine.give(2 * SIZE)
    machine.reserve.start()
    machine.reserve.close()
    machine.reserve.close()
    assert machine.take() == 2 * SIZE
