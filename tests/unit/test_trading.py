"""What keeps the core from trading, as `halftick status` shows it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from engine.bus.counters import CounterFile
from engine.cli.status import status
from engine.host.duty import HEARTBEAT_NS, PID, STATE, State, create_counters
from engine.host.locks import FileLock
from engine.host.rundir import LOCK_FILE, ROOT_VARIABLE, runtime_dir
from engine.host.runfile import RunFile

WELL = {
    "is_recovered": 1,
    "fills_unseen": 0,
    "markets_halted": 0,
    "contradictions": 0,
    "tokens_unexplained": 0,
    "unexplained_micros": 0,
    "orders_revived": 0,
    "orders_unknown": 0,
    "markets_without_book": 0,
    "orders_external": 0,
}
WARNINGS = {"orders_unknown", "markets_without_book", "orders_external"}


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CounterFile]:
    """The counters of the ready core of a run that is up and well."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    directory = runtime_dir("toy")
    directory.mkdir(mode=0o700, parents=True)
    RunFile(1, 0, {"run": {"name": "toy"}}, str(tmp_path), runtime_dir=directory).save()
    lock = FileLock.take(directory / LOCK_FILE, "toy")
    assert lock is not None
    counters = create_counters(directory / "core.counters", (*WELL, "halted"))
    for index, value in ((PID, os.getpid()), (STATE, State.READY), (HEARTBEAT_NS, 1)):
        counters.set(index, value)
    for name, value in WELL.items():
        counters.set(counters.index(name), value)
    yield counters
    counters.close()
    lock.remove()


def shown(*arguments: str) -> Result:
    """Run the command as `halftick` would."""
    app = typer.Typer()
    app.command()(status)
    return CliRunner().invoke(app, list(arguments))


def test_a_core_that_may_trade_is_healthy(core: CounterFile) -> None:
    """No line of warning, exit code 0, and every counter in the JSON."""
    assert shown().exit_code == 0
    assert "trading" not in shown().stdout
    assert json.loads(shown("--json").stdout)["trading"] == WELL


@pytest.mark.parametrize("name", WELL)
def test_each_counter_that_is_not_well_has_its_line(core: CounterFile, name: str) -> None:
    """A fault makes the exit code 1, a warning does not; both are told."""
    core.set(core.index(name), 0 if name == "is_recovered" else 3)
    told = shown()
    assert len([line for line in told.stdout.splitlines() if line.startswith("trading")]) == 1
    assert told.exit_code == (name not in WARNINGS)
    assert json.loads(shown("--json").stdout)["healthy"] == (name in WARNINGS)


def test_a_halted_core_is_never_healthy(core: CounterFile) -> None:
    """Also in the moment before the supervisor has heard of it."""
    core.set(core.index("halted"), 192)
    assert shown().exit_code == 1
    assert "HALTED" in shown().stdout
