"""Connections that end badly, and files that are pulled from under a run."""

from __future__ import annotations

import shutil

from siege.stage import Stage

STREAMS = ("market", "user", "rest")


def cut(stage: Stage) -> None:
    """Four cuts of one kind of connection or all: closed, reset, mid-frame, half-open, refused."""
    for _ in range(4):
        stage.pause(0.3, 1.5)
        chosen = stage.rng.sample(STREAMS, stage.rng.randint(1, 3))
        act = stage.rng.randrange(5)
        if act == 0:
            stage.proxy.cut(*chosen)
        elif act == 1:
            stage.proxy.reset(*chosen)
        elif act == 2:
            stage.proxy.reset_after(stage.rng.randrange(1, 400), *chosen)
        elif act == 3:
            stage.proxy.hold(*chosen)
            stage.pause(0.5, 4.0)
        else:
            stage.proxy.refuse()
            stage.pause(0.5, 3.0)
        stage.proxy.heal()


def files(stage: Stage) -> None:
    """A ring or a file of counters is cut to nothing, or the whole runtime directory is removed."""
    stage.pause(0.5, 2.0)
    found = sorted(stage.trader.runtime.glob("*.ring")) + sorted(
        stage.trader.runtime.glob("*.counters")
    )
    if stage.rng.random() < 0.3 or not found:
        shutil.rmtree(stage.trader.runtime, ignore_errors=True)
    else:
        with stage.rng.choice(found).open("r+b") as file:
            file.truncate(stage.rng.choice((0, 64, 4096)))
    stage.pause(2.0, 4.0)
    stage.stop("files cut")
    stage.up()
    stage.pause(0.5, 1.5)
