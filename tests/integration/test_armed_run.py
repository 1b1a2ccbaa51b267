"""A strategy that arms, through every process, against the local exchange."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from deadlines import wait_until
from toys import runtime_root

import engine.cli
from engine.bench.run import STRATEGY
from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.host.config.load import load_settings
from engine.host.config.schema import Settings
from engine.host.fleet import ExchangePlan
from engine.host.supervisor import Supervisor
from engine.tape.reader import TapeReader
from engine.tape.replay import replay
from engine.wire.codes import Kind
from engine.wire.records import typed

__all__ = ["runtime_root"]
DEADLINE_S = 90.0
MUCH = 1_000_000


def settings(directory: Path) -> Settings:
    """The demo's settings with one strategy, which arms, and room for signatures made ahead."""
    chosen = load_settings(Path(engine.cli.__path__[0]) / "demo.toml").to_json()
    chosen["run"] |= {"name": "armed", "directory": str(directory)}
    chosen["strategy"] = {"tick_taker": {"enabled": True, "path": STRATEGY, "armed": 1}}
    for limit in ("order_notional", "market_notional", "total_notional"):
        chosen["risk"][f"{limit}_usd_max"] = MUCH
    chosen["signer"] |= {
        "size_shares_max": MUCH,
        "order_notional_usd_max": MUCH,
        "presigned": 8,
        "presigned_levels": 0,
        "presigned_age_ms_max": 60_000,
    }
    return Settings.from_json(chosen)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("runtime_root")
def test_armed_orders_are_signed_ahead_and_replay_to_the_same_bytes(tmp_path: Path) -> None:
    """They hit the signer's pool, the exchange accepts their signatures, and the tape is proof."""
    exchange = ExchangePlan(
        (
            *("--mode", "recorded", "--recording", "resolvedkit", "--hold", "--ready-json"),
            *("--port", "0", "--speed", "150", "--markets", "1", "--balance-usd", str(MUCH)),
            *("--rate-limits", "off", "--truth", str(tmp_path / "truth.jsonl")),
        ),
        serves_market_data=True,
    )
    with Supervisor(settings(tmp_path), exchange=exchange) as supervisor:
        assert supervisor.start(), supervisor.take_events()

        def counted(process: str, name: str) -> int:
            supervisor.poll()
            assert supervisor.is_running, supervisor.take_events()
            return supervisor.counters(process).get(name, 0)

        wait_until(lambda: counted("core", "instruments") == 2, DEADLINE_S, "the market is known")
        start = urllib.request.Request(supervisor.exchange_ready["start"], method="POST")
        urllib.request.urlopen(start, timeout=5.0).close()
        wait_until(lambda: counted("signer", "signed_ahead") >= 5, DEADLINE_S, "five hits")
        supervisor.stop()
    with TapeReader(tmp_path / "tape.ht") as tape:
        verdict = replay(tape, Engine(EngineParams.from_json(tape.header.params_text)))
        rows = np.concatenate([piece.rows for piece in tape.slices()])
    assert verdict.is_clean, verdict.first
    arms = typed(np.ascontiguousarray(rows[(rows[:, 0] & 0xFFFF) == Kind.ARM]), Kind.ARM)
    assert arms["engaged"].sum() >= 5
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    accepted = {entry["order_hash"] for entry in truth if entry["type"] == "order"}
    signed = typed(np.ascontiguousarray(rows[(rows[:, 0] & 0xFFFF) == Kind.SIGNED]), Kind.SIGNED)
    assert len(accepted) >= 5
    assert accepted <= {"0x" + each["order_hash"].tobytes().hex() for each in signed}
