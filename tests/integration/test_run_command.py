"""`halftick run` and its companions as an operator calls them, on toy processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys import is_gone, runtime_root, toy_settings, wait_for

from engine.host.rundir import runtime_dir
from engine.host.status import read_status

__all__ = ["runtime_root"]
ROOT = Path(__file__).resolve().parents[2]
HALFTICK = (sys.executable, "-m", "engine.cli.main")


def halftick(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*HALFTICK, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )


def config_file(directory: Path, **changes: str) -> Path:
    """Write the toy run's configuration as TOML."""
    settings = toy_settings(directory).to_json()
    settings["run"] |= changes
    lines = []
    for table in ("run", "venue", "markets"):
        pairs = {key: value for key, value in settings[table].items() if value is not None}
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in pairs.items())]
    lines += ["[feeds.market]", f"feeds = {json.dumps(settings['feeds']['market']['feeds'])}"]
    lines += ["[host.ring_capacity]", "md = 64", "tape = 64"]
    for name, process in settings["process"].items():
        lines += [f'[process."{name}"]', f"command = {json.dumps(process['command'])}"]
    file = directory / "toy.toml"
    file.write_text("\n".join(lines))
    return file


@pytest.fixture
def daemon(tmp_path: Path, runtime_root: Path) -> Iterator[subprocess.Popen[str]]:
    """`halftick run` on toys behind the real local exchange, once every process is ready."""
    command = [*HALFTICK, "run", "--config", str(config_file(tmp_path)), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            wait_for(is_ready_or(process), "every process is ready")
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def is_ready_or(process: subprocess.Popen[str]):
    """Return a condition: the toy run is up, or the command has ended."""

    def condition() -> bool:
        if process.poll() is not None:
            return True
        directory = runtime_dir("toy")
        if not (directory / "run.json").exists():
            return False
        status = read_status(directory)
        return status.is_healthy and len(status.processes) == 4

    return condition


def test_interrupt_stops_clean_and_leaves_nothing(daemon: subprocess.Popen[str]) -> None:
    """SIGINT ends the run with 0: no process, no socket, no ring, and every event was told."""
    pids = [process.pid for process in read_status(runtime_dir("toy")).processes]
    daemon.send_signal(signal.SIGINT)
    out, err = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, err
    assert err == ""
    assert all(is_gone(pid) for pid in pids)
    assert not runtime_dir("toy").exists()
    events = [json.loads(line) for line in out.splitlines()]
    stopped = [event["process"] for event in events if event["what"] == "stopped"]
    assert stopped == ["core", "signer", "feeds.market", "recorder", "exchange"]


def test_operator_commands(daemon: subprocess.Popen[str]) -> None:
    """status, rings, halt, resume and stop work from outside, with their exit codes."""
    healthy = halftick("status", "--json")
    assert (healthy.returncode, json.loads(healthy.stdout)["healthy"]) == (0, True)
    rings = json.loads(halftick("rings", "--json").stdout)["rings"]
    assert {ring["name"] for ring in rings} >= {"md.market", "orders", "exec", "tape"}
    assert halftick("resume", "--reason", "x").returncode == 1
    assert halftick("halt", "--reason", "smoke").returncode == 0
    halted = halftick("status")
    assert halted.returncode == 1
    assert "HALT_OPERATOR" in halted.stdout
    assert "smoke" in halted.stdout
    assert halftick("resume", "--reason", "no fire").returncode == 0
    assert halftick("stop").returncode == 0
    assert daemon.wait(60) == 0


def test_second_run_is_refused_in_one_line(daemon: subprocess.Popen[str], tmp_path: Path) -> None:
    """A second `halftick run` of the same name exits with 78 and one line naming the first."""
    second = halftick("run", "--config", str(tmp_path / "toy.toml"))
    assert second.returncode == 78
    assert f"already running: run=toy, pid={daemon.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1


def test_live_takes_more_than_the_word(tmp_path: Path, runtime_root: Path) -> None:
    """A configuration that only says `mode = "live"` is refused with what is missing."""
    refused = halftick("run", "--config", str(config_file(tmp_path, mode="live")))
    assert refused.returncode == 78
    assert "signer.key must name a key" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status"], 1),
        (["run", "--config", "/nowhere.toml"], 78),
        (["run"], 2),
        (["halt"], 2),
        (["nonsense"], 2),
        (["config", "check", "/nowhere.toml"], 78),
        (["config", "check", "ops/config/paper.toml"], 0),
        (["config", "check", "ops/config/live.toml"], 0),
        (["--help"], 0),
        (["wire", "export", "--format", "rust"], 0),
    ],
)
def test_exit_codes_without_a_traceback(
    runtime_root: Path, arguments: list[str], code: int
) -> None:
    """Every misuse has its exit code and no traceback."""
    done = halftick(*arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == (code != 0)


def test_help_imports_nothing_heavy(runtime_root: Path) -> None:
    """The help of the command line comes without numba, numpy's jits or pydantic being imported."""
    code = (
        "import sys\nfrom engine.cli.main import call\ncall(['--help'])\n"
        "sys.exit(len({'numba', 'pydantic', 'engine.host.supervisor'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0
