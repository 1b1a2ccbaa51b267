"""Where a process runs, and when its garbage collector may."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from typing import Any

from engine.host.errors import RefuseError

OnCollection = Callable[[str, dict[str, Any]], None]  # as `gc.callbacks` has it: phase and details


def cores() -> list[int]:
    """Return the cores this process may run on, ascending."""
    return sorted(os.sched_getaffinity(0))


def pin_to(core: int) -> None:
    """Keep the calling process on one core; RefuseError if it may not run there."""
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        raise RefuseError(
            f"core cannot be used: core={core}, allowed={cores()}, {error.strerror}"
        ) from None


def assign_cores(spinners: Sequence[str], available: Sequence[int]) -> dict[str, int]:
    """Return a core of its own for each spinning process.

    Two spinners on one core take turns by the scheduler's clock: milliseconds, not microseconds.
    Raises RefuseError when there are more spinners than cores.
    """
    if len(spinners) > len(available):
        raise RefuseError(
            f"profile pipeline needs a core for each spinning process: "
            f"spinning={','.join(spinners)}, cores={len(available)}; use profile shared or fused"
        )
    return dict(zip(spinners, available, strict=False))


def freeze_garbage(on_collection: OnCollection) -> None:
    """Stop the collector from looking at what start-up made, and from running by itself.

    Call once, when everything that lives as long as the process exists; from then on
    `collect_young` is called when there is nothing better to do. on_collection: hears of every
    collection, whoever caused it.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    gc.callbacks.append(on_collection)


def thaw_garbage(on_collection: OnCollection) -> None:
    """Undo freeze_garbage, if it was done: for processes that live on after their duties."""
    if on_collection in gc.callbacks:
        gc.callbacks.remove(on_collection)
        gc.unfreeze()
        gc.enable()


def collect_young() -> int:
    """Collect what was made since the last time or two; return how many objects went."""
    return gc.collect(1)
