"""The signer's place in a run is taken by a process in another language, and nobody notices."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from deadlines import wait_until

from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.host.config.load import load_settings
from engine.host.config.schema import Settings
from engine.host.errors import Exit
from engine.host.events import Event
from engine.host.fleet import ExchangePlan
from engine.host.supervisor import Supervisor
from engine.tape.reader import TapeReader
from engine.tape.replay import replay
from engine.wire.codes import Kind, Reason, Source
from engine.wire.records import BODIES, typed

PLAYED_S = 60.0


@pytest.fixture
def runtime_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short, private directory for the run's rings."""
    with tempfile.TemporaryDirectory(prefix="ht", dir="/dev/shm") as directory:
        monkeypatch.setenv("HALFTICK_RUNTIME_DIR", directory)
        yield Path(directory)


def settings(state_dir: Path, program: Path) -> Settings:
    """Return the demo's settings with another program in the signer's place, which also has to wake
    a core that sleeps on its rings."""
    values = load_settings(Path(str(files("engine.cli") / "demo.toml"))).to_json()
    values["run"] |= {"name": "foreign", "directory": str(state_dir)}
    values["process"] = {"signer": {"command": [str(program)]}}
    values["host"] |= {"park": "futex", "ring_memory": {"locked": False, "huge_pages": True}}
    return Settings.from_json(values)


def exchange(state_dir: Path) -> ExchangePlan:
    """Return a local exchange that plays one recorded market."""
    arguments = ["--mode", "recorded", "--recording", "resolvedkit", "--markets", "1"]
    arguments += ["--hold", "--ready-json", "--port", "0", "--speed", "300"]
    return ExchangePlan((*arguments, "--truth", str(state_dir / "truth.jsonl")), True)


def tape_rows(state_dir: Path) -> np.ndarray:
    """Return all records of the tape, int64[n, 16]."""
    with TapeReader(state_dir / "tape.ht") as tape:
        return np.concatenate([part.rows.copy() for part in tape.slices()])


@pytest.mark.slow
def test_a_rust_process_takes_the_signers_place(tmp_path: Path, runtime_root: Path, compiled):
    """Supervisor, feed, core, recorder and exchange run with a signer of std-only Rust: it becomes
    ready, answers every order, stops in order, and its reports are on a tape that replays."""
    program = compiled("rust", "signer")
    events: list[Event] = []
    supervisor = Supervisor(
        settings(tmp_path, program), exchange=exchange(tmp_path), listener=events.append
    )
    with supervisor:
        assert supervisor.start()
        assert ("signer", "ready") in {(event.process, event.what) for event in events}

        def has(process: str, counter: str, at_least: int) -> bool:
            supervisor.poll()
            assert supervisor.is_running, [event.detail for event in events]
            return supervisor.counters(process).get(counter, 0) >= at_least

        wait_until(lambda: has("core", "instruments", 2), PLAYED_S, "the market is discovered")
        ready = supervisor.exchange_ready
        with urllib.request.urlopen(
            urllib.request.Request(ready["start"], method="POST"), timeout=10
        ) as answer:
            assert json.load(answer) is not None
        wait_until(lambda: has("signer", "orders", 20), PLAYED_S, "twenty orders")
        assert supervisor.stop()
    assert supervisor.exit_code == Exit.CLEAN, [event.detail for event in events]

    rows = tape_rows(tmp_path)
    of_kind = {kind: typed(rows[(rows[:, 0] & 0xFFFF) == kind], kind) for kind in BODIES}
    orders = of_kind[Kind.NEW_ORDER]["order_id"].tolist()
    answered = of_kind[Kind.ACK]["order_id"].tolist() + of_kind[Kind.REJECT]["order_id"].tolist()
    assert len(orders) >= 20
    assert Counter(answered) == Counter(orders)
    assert set(of_kind[Kind.ACK]["source"]) <= {Source.SIGNER}
    assert set(of_kind[Kind.DONE]["reason"]) <= {Reason.CANCELED}
    # Everything that rested was cancelled before the end.
    assert Counter(of_kind[Kind.DONE]["order_id"].tolist()) == Counter(
        of_kind[Kind.ACK]["order_id"].tolist()
    )
    with TapeReader(tmp_path / "tape.ht") as tape:
        assert replay(tape, Engine(EngineParams.from_json(tape.header.params_text))).is_clean
