"""A plugin that raises, in the core of a real run."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from deadlines import wait_until
from toys import runtime_root

import engine.cli
from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.host import plan
from engine.host.config.load import load_settings
from engine.host.config.schema import Settings
from engine.host.fleet import ExchangePlan
from engine.host.supervisor import Supervisor
from engine.tape.reader import TapeReader
from engine.tape.replay import replay
from engine.wire.codes import Kind, Reason
from engine.wire.records import typed

__all__ = ["runtime_root"]
DEADLINE_S = 60.0
PLUGIN = """
class Faulty:
    pair_edge = None
    follows_touch = True

    def __init__(self, params):
        pass

    def initial(self):
        return None

    def decide(self, state, event):
        return () if event.market.number else [][event.market.up.index]
"""


def settings(directory: Path) -> Settings:
    """The demo's settings, and a plugin that fails on the first market."""
    chosen = load_settings(Path(engine.cli.__path__[0]) / "demo.toml").to_json()
    chosen["run"] |= {"name": "faulty", "directory": str(directory)}
    chosen["strategy"]["faulty"] = {"enabled": True, "path": "faulty_plugin:Faulty"}
    return Settings.from_json(chosen)


@pytest.mark.timeout(200)
@pytest.mark.usefixtures("runtime_root")
def test_a_run_goes_on_without_the_market_a_plugin_failed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is counted and written down, other markets are traded, and the tape is proof."""
    (tmp_path / "faulty_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    paths = os.pathsep.join((str(plan.installation()), str(tmp_path)))
    monkeypatch.setattr(plan, "installation", lambda: paths)  # as if it were installed
    exchange = ExchangePlan(
        (
            *("--mode", "recorded", "--recording", "resolvedkit", "--hold", "--ready-json"),
            *("--port", "0", "--speed", "900", "--markets", "2", "--balance-usd", "1000"),
            *("--rate-limits", "off", "--truth", str(tmp_path / "truth.jsonl")),
        ),
        serves_market_data=True,
    )
    with Supervisor(settings(tmp_path), exchange=exchange) as supervisor:
        assert supervisor.start(), supervisor.take_events()

        def counted(name: str) -> int:
            supervisor.poll()
            assert supervisor.is_running, supervisor.take_events()
            return supervisor.counters("core").get(name, 0)

        wait_until(lambda: counted("instruments") == 4, DEADLINE_S, "both markets are known")
        start = urllib.request.Request(supervisor.exchange_ready["start"], method="POST")
        urllib.request.urlopen(start, timeout=5.0).close()
        wait_until(lambda: counted("orders_opened") > 0, DEADLINE_S, "the other one is traded")
        assert counted("markets_halted") == counted("errors") == 1
        assert counted("halted") == 0
        supervisor.stop()
    (entry,) = json.loads((tmp_path / "log" / "core.errors.json").read_text())
    assert (entry["kind"], entry["count"]) == ("IndexError", 1)
    assert entry["where"] == "core: strategy=faulty, market=0, instruments=1,2"
    assert 'faulty_plugin.py", line 13, in decide' in entry["trace"]
    with TapeReader(tmp_path / "tape.ht") as tape:
        verdict = replay(tape, Engine(EngineParams.from_json(tape.header.params_text)))
        rows = np.concatenate([piece.rows for piece in tape.slices()])
    assert verdict.is_clean, verdict.first
    said = np.ascontiguousarray(rows[(rows[:, 0] & 0xFFFF) == Kind.DECISION])
    reasons = typed(said, Kind.DECISION)["reason"].tolist()
    assert reasons.count(Reason.STRATEGY_FAILED) == 1
