"""Runs after each other on one wallet, and orders of it that another program sends."""

from __future__ import annotations

import signal

from siege.stage import Stage


def restart(stage: Stage) -> None:
    """Stop or kill the run at any moment and start it again, twice: it has its limit only once."""
    stage.let_loose()
    for _ in range(2):
        stage.pause(1.0, 3.0)
        if stage.rng.random() < 0.5:
            stage.trader.signal("all", signal.SIGKILL)
        stage.stop("restart")
        stage.up()
    stage.pause(1.0, 3.0)


def elsewhere(stage: Stage) -> None:
    """Another program bids and fills on the same wallet while the run trades."""
    for _ in range(6):
        stage.pause(0.3, 1.2)
        stage.place_elsewhere()
    stage.pause(0.5, 1.0)
