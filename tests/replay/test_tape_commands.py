"""`halftick replay`, `tape` and `report` say what they found and exit accordingly."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer
from core_driver import (
    DOWN,
    DUTCH,
    NOW_NS,
    SPREAD,
    UP,
    account,
    book,
    instrument,
    params,
    status,
)
from replay.tape_builder import TapeBuilder, demo_tape
from typer.testing import CliRunner, Result

from engine.cli.replay import replay
from engine.cli.report import report
from engine.cli.tape import tape_app
from engine.core.engine import Engine
from engine.tape.format import ENTRY_BYTES, TapeError
from engine.tape.reader import TapeReader
from engine.wire.codes import MarketStatus
from engine.wire.records import words


def run(*arguments: str | Path) -> Result:
    """Run a command as `halftick` would."""
    app = typer.Typer()
    app.command()(replay)
    app.command()(report)
    app.add_typer(tape_app(), name="tape")
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def core_tape(tmp_path: Path) -> Path:
    """A tape of the real core: one market, one look at both books."""
    engine = Engine(params(DUTCH, SPREAD))
    tape = TapeBuilder(engine.params.to_json())
    tape.now_ns = NOW_NS
    is_open = status(MarketStatus.OPEN)
    for inputs in (
        [instrument(DOWN), instrument(UP), *account(), is_open],
        [book(UP, {"0.48": "100"}, {"0.50": "100"}), book(DOWN, {"0.50": "100"}, {"0.52": "100"})],
    ):
        tape.now_ns += 1_000_000
        rows = [words(each) for each in inputs]
        for row in rows:
            row[:, 3] = tape.now_ns
        batch = TapeBuilder()
        batch.add(*rows)
        said = engine.step(batch.rows, tape.count + 1, tape.now_ns).copy()
        tape.batch(rows, [said], tape.now_ns)
    return tape.write(tmp_path / "tape.ht")


def damage(path: Path, sequence: int) -> None:
    """Change one byte of a record."""
    data = bytearray(path.read_bytes())
    with TapeReader(path) as tape:
        start = len(data) - ENTRY_BYTES * len(tape)
    data[start + sequence * ENTRY_BYTES + 60] ^= 1
    path.write_bytes(data)


def test_a_true_tape_is_identical(core_tape: Path):
    """Replay of an untouched tape exits with 0 and says so."""
    result = run("replay", core_tape, "--verify")
    assert result.exit_code == 0
    assert "identical" in result.output


def test_a_changed_tape_exits_with_1_and_names_it(core_tape: Path):
    """With one byte of an input changed, replay names sequence and kind and fails."""
    damage(core_tape, 2)
    result = run("replay", core_tape)
    assert result.exit_code == 1
    assert "sequence 2, INSTRUMENT" in result.output
    told = json.loads(run("replay", core_tape, "--json").output)
    assert told["identical"] is False
    assert told["damage"] == [{"sequence": 2, "kind": "INSTRUMENT"}]
    assert run("replay", core_tape, "--no-verify").exit_code == 0


def test_parameters_that_make_no_core_are_refused(tmp_path: Path):
    """A tape of another program is an error of one line, not a traceback."""
    path = TapeBuilder('{"strategies": 3}').write(tmp_path / "tape.ht")
    assert isinstance(run("replay", path).exception, TapeError)
    assert isinstance(run("replay", tmp_path / "none.ht").exception, TapeError)


def test_verify_finds_damage(core_tape: Path):
    """Checking a tape needs no core."""
    assert run("tape", "verify", core_tape).exit_code == 0
    damage(core_tape, 2)
    result = run("tape", "verify", core_tape)
    assert result.exit_code == 1
    assert "sequence 2, INSTRUMENT" in result.output


def test_info_says_what_is_on_a_tape(core_tape: Path):
    """Header, counts by kind and parameters, for people and as JSON."""
    told = json.loads(run("tape", "info", core_tape, "--json").output)
    with TapeReader(core_tape) as tape:
        assert told["records"] == len(tape) == sum(told["kinds"].values())
    assert told["params"]["instruments_max"] == 16
    assert "LEVELS" in run("tape", "info", core_tape).output


def test_dump_prints_records_as_json(core_tape: Path):
    """A record's fields by name, a line each, chosen by sequence, count and kind."""
    lines = run("tape", "dump", core_tape, "--kind", "levels", "--count", "1").output.splitlines()
    (told,) = map(json.loads, lines)
    assert told["kind"] == "LEVELS"
    assert told["flags"] == ["RESET", "LAST", "TOUCH"]
    assert told["levels"][0] == {"side": 0, "price": 480_000, "size": 100_000_000}
    everything = run("tape", "dump", core_tape, "--from", "1").output.splitlines()
    assert json.loads(everything[0])["sequence"] == 1
    assert run("tape", "dump", core_tape, "--kind", "nonsense").exit_code == 2


def test_project_builds_the_database(tmp_path: Path):
    """A database is rebuilt from nothing but the tape."""
    result = run("tape", "project", demo_tape(tmp_path, markets=1), "--db", tmp_path / "h.db")
    assert result.exit_code == 0
    assert (tmp_path / "h.db").exists()


def test_report_writes_a_page(tmp_path: Path):
    """The report goes beside the tape unless told otherwise."""
    path = demo_tape(tmp_path, markets=1)
    assert run("report", path).exit_code == 0
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert run("report", path, "--out", tmp_path / "other.html").exit_code == 0
    assert (tmp_path / "other.html").exists()


def test_a_report_without_matplotlib_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Plots are an extra; without it the error names it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("report", demo_tape(tmp_path, markets=1))
    assert "halftick[demo]" in str(result.exception)
