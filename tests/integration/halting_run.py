"""A run that trades recorded markets as fast as it may and obeys its control socket.

A test's child: `python halting_run.py STATE_DIRECTORY NAME` prints a line of JSON once the playback
has begun (the venue's REST URL, the ids of its processes) and ends when it is told to stop.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path

import engine.cli
from engine.bench.run import STRATEGY
from engine.cli.cancel import cancel_all
from engine.host.config.load import load_settings
from engine.host.config.schema import Settings
from engine.host.fleet import ExchangePlan
from engine.host.supervisor import Supervisor

MUCH = 10_000_000
SPEED, MARKETS = 60, 18


def settings(directory: Path, name: str) -> Settings:
    """The demo's settings with a strategy that takes at every tick, and hardly a limit."""
    chosen = load_settings(Path(engine.cli.__path__[0]) / "demo.toml").to_json()
    chosen["run"] |= {"name": name, "directory": str(directory)}
    chosen["strategy"] = {"tick_taker": {"enabled": True, "path": STRATEGY}}
    for limit in ("order_notional", "market_notional", "total_notional"):
        chosen["risk"][f"{limit}_usd_max"] = MUCH
    chosen["host"]["ready_ms_max"] = 180_000  # the first start compiles the kernels
    chosen["signer"] |= {"size_shares_max": MUCH, "order_notional_usd_max": MUCH}
    return Settings.from_json(chosen)


def main(directory: str, name: str) -> int:
    """Run until told to stop; return the exit code."""
    exchange = ExchangePlan(
        (
            *("--mode", "recorded", "--recording", "resolvedkit", "--hold", "--ready-json"),
            *("--port", "0", "--speed", str(SPEED), "--markets", str(MARKETS)),
            *("--balance-usd", str(MUCH), "--rate-limits", "off"),
        ),
        serves_market_data=True,
    )
    wanted = settings(Path(directory), name)
    with Supervisor(wanted, exchange=exchange, cancel_all=cancel_all) as supervisor:
        if supervisor.start():
            while supervisor.counters("core").get("instruments", 0) < 2 * MARKETS:
                supervisor.poll()
                supervisor.wait(0.02)
            ready = supervisor.exchange_ready
            urllib.request.urlopen(
                urllib.request.Request(ready["start"], method="POST"), timeout=5.0
            ).close()
            pids = {child.name: child.pid for child in supervisor.fleet.children.values()}
            line = {"rest": ready["rest"], "account": ready["accounts"][0], "pids": pids}
            print(json.dumps({**line, "supervisor": os.getpid()}), flush=True)
            while supervisor.is_running and not supervisor.is_stop_requested:
                supervisor.poll()
                supervisor.wait(0.05)
        supervisor.stop()
    return int(supervisor.exit_code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
