"""`halftick top`: counters and rings of a run, how fast they move, read from its files alone."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from engine.bus.counters import CounterFile
from engine.bus.ring import Discipline, QueueWriter, create_ring
from engine.cli.top import top
from engine.host.duty import PID, ROUNDS, STATE, State, create_counters
from engine.host.rates import Look, look, rates
from engine.host.rundir import LOCK_FILE, ROOT_VARIABLE, runtime_dir
from engine.host.runfile import RunFile
from engine.wire.records import RECORD_WORDS

RUN_ID = 7


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFile:
    """A runtime directory with a queue and a broadcast, found by its name."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    directory = runtime_dir("toy")
    directory.mkdir(mode=0o700, parents=True)
    made = RunFile(RUN_ID, 0, {"run": {"name": "toy"}}, str(tmp_path), runtime_dir=directory)
    made.save(directory)
    (directory / LOCK_FILE).touch()
    create_ring(made.ring("orders"), Discipline.QUEUE, 16, RUN_ID)
    create_ring(made.ring("tape"), Discipline.BROADCAST, 64, RUN_ID)
    return made


@pytest.fixture
def core(run: RunFile) -> Iterator[CounterFile]:
    """The counters of a core that is ready."""
    counters = create_counters(run.counters("core"), ("fills", "rejects"))
    counters.set(PID, os.getpid())
    counters.set(STATE, State.READY)
    yield counters
    counters.close()


def command(*arguments: str) -> Result:
    """Run the command as `halftick` would."""
    app = typer.Typer()
    app.command()(top)
    return CliRunner().invoke(app, list(arguments))


def later(first: Look, second: Look, seconds: float) -> Look:
    """The second look as if it had been taken so many seconds after the first."""
    return dataclasses.replace(second, at_ns=first.at_ns + round(seconds * 1e9))


def test_what_moved_between_two_looks_is_told_a_second(run: RunFile, core: CounterFile) -> None:
    """Rounds, own counters and published records, whatever time lies between the looks."""
    core.set(core.index("fills"), 10)
    first = look(run)
    core.set(ROUNDS, 400)
    core.set(core.index("fills"), 13)
    writer = QueueWriter(run.ring("orders"), RUN_ID)
    writer.offer(np.zeros((5, RECORD_WORDS), np.int64))
    found = rates(first, later(first, look(run), 2))
    assert found.processes["core"].rounds.per_s == 200
    assert found.processes["core"].own["fills"].per_s == 1.5
    assert found.processes["core"].own["rejects"].per_s == 0
    assert (found.rings["orders"].published.per_s, found.rings["orders"].waiting) == (2.5, 5)
    assert found.rings["tape"].waiting is None
    writer.close()


def test_one_look_has_values_and_no_rates(run: RunFile, core: CounterFile) -> None:
    """What cannot be known yet is None, not 0."""
    core.set(core.index("fills"), 10)
    found = rates(None, look(run))
    fills = found.processes["core"].own["fills"]
    assert (fills.value, fills.per_s, found.seconds) == (10, None, 0)


def test_a_process_started_anew_has_no_rate_yet(run: RunFile, core: CounterFile) -> None:
    """Its counters begin at 0 again: that is no negative rate."""
    core.set(core.index("fills"), 10)
    first = look(run)
    core.set(core.index("fills"), 1)
    core.set(PID, os.getppid())
    fills = rates(first, later(first, look(run), 1)).processes["core"].own["fills"]
    assert (fills.value, fills.per_s) == (1, None)


def test_once_tells_everything_as_one_object(run: RunFile, core: CounterFile) -> None:
    """Scripts get every counter, those that are 0 too."""
    core.set(core.index("fills"), 10)
    shown = command("--once", "--interval", "0.05", "--json")
    assert shown.exit_code == 0
    told: dict[str, Any] = json.loads(shown.stdout)
    process = told["processes"]["core"]
    assert (process["now"]["state"], process["now"]["pid"]) == ("READY", os.getpid())
    assert process["own"] == {
        "fills": {"value": 10, "per_s": 0.0},
        "rejects": {"value": 0, "per_s": 0.0},
    }
    assert told["rings"].keys() == {"orders", "tape"}
    assert told["seconds"] >= 0.05


@pytest.mark.parametrize(("arguments", "is_shown"), [((), False), (("--all",), True)])
def test_a_person_sees_what_is_not_zero(
    run: RunFile, core: CounterFile, arguments: tuple[str, ...], is_shown: bool
) -> None:
    """A process a line, a ring a line, and the counters that something happened to."""
    core.set(core.index("fills"), 10)
    shown = command("--once", "--interval", "0.05", *arguments).stdout
    assert "READY" in shown
    assert "orders" in shown
    assert "fills" in shown
    assert ("rejects" in shown) is is_shown


def test_a_run_that_ends_ends_it(run: RunFile, core: CounterFile) -> None:
    """No run file, no run: the last thing said is that it is over, and that is no failure."""
    (run.runtime_dir / "run.json").unlink()
    assert command("--name", "toy", "--interval", "0.05").exit_code != 0
    run.save(run.runtime_dir)
    forgotten = RunFile(RUN_ID + 1, 0, {}, "", runtime_dir=run.runtime_dir)
    seen: list[Look] = []

    def replaced(watched: RunFile) -> Look:
        seen.append(look(watched))
        forgotten.save(run.runtime_dir)  # another run takes the name
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.cli.top.look", replaced)
        shown = command("--interval", "0.05")
    assert (shown.exit_code, shown.stdout.splitlines()[-1]) == (0, "toy is over")


def test_a_run_that_is_not_there_is_named(run: RunFile) -> None:
    """The error says which runs there are."""
    result = command("--name", "other", "--once")
    assert "name=other, running=toy" in str(result.exception)


def test_counters_that_were_cut_are_named_in_place_of_the_process(
    run: RunFile, core: CounterFile
) -> None:
    """A cut file is one red line and one string in the JSON, and the rest is shown as ever."""
    recorder = run.counters("recorder")
    create_counters(recorder).close()
    os.truncate(recorder, 0)
    shown = command("--once", "--interval", "0.05")
    assert shown.exit_code == 0
    assert f"file={recorder}" in shown.stdout.replace("\n", "")
    found = json.loads(command("--once", "--json", "--interval", "0.05").stdout)
    assert list(found["processes"]) == ["core"]
    (line,) = found["damage"]
    assert str(recorder) in line
