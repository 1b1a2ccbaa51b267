"""Processes that die or stand still."""

from __future__ import annotations

import os
import signal

from siege.stage import Stage

PROCESSES = ("feeds.market", "core", "signer", "recorder", "supervisor")
FREEZE_S = (0.5, 1.0, 3.0, 8.0)


def kill(stage: Stage) -> None:
    """kill -9 of one process, whichever; the run is started again if it ended."""
    stage.pause(0.5, 2.0)
    stage.trader.signal(stage.rng.choice(PROCESSES), signal.SIGKILL)
    stage.pause(1.0, 3.0)
    if not stage.trader.is_up or stage.trader.core().get("halted"):
        stage.stop("killed")
        stage.up()
    stage.pause(1.0, 2.0)


def kill_all(stage: Stage) -> None:
    """kill -9 of everything at once, twice."""
    for _ in range(2):
        stage.pause(0.3, 1.5)
        stage.trader.signal("all", signal.SIGKILL)
        stage.stop("all killed")
        stage.up()
    stage.pause(0.5, 1.0)


def freeze(stage: Stage) -> None:
    """SIGSTOP of one process or of the venue, for half a second up to eight."""
    stage.pause(0.5, 1.5)
    name = stage.rng.choice((*PROCESSES, "exchange"))
    venue = int(stage.venue.ready["pid"])
    seconds = stage.rng.choice(FREEZE_S)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        if name == "exchange":
            os.kill(venue, number)
        else:
            stage.trader.signal(name, number)
        stage.pause(seconds, seconds)
