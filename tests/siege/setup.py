"""The configuration of a round: a live run whose venue is the campaign's own, behind its proxy."""

from __future__ import annotations

import sys
from pathlib import Path

from integration.live_venue import MARKET

KEY_NAME = "hot"
LIMIT_USD = 20
STRATEGIES = {
    "spread": "[strategy.spread]\nenabled = true\nsize_shares = 10\nimprove_ticks = 1\n"
    "cutoff_s = 0\nimbalance_shares_moderate = 200\nimbalance_shares_hard = 500\n",
    "hoarder": '[strategy.hoarder]\nenabled = true\npath = "siege.hoarder:Hoarder"\n',
}


def write_config(folder: Path, port: int, strategy: str, limit_usd: int, more: str) -> Path:
    """Write a run's configuration and return its file. more: TOML at its end.

    Its state is in `folder`/state, its keystore in `folder`/keys.
    """
    core = Path(__file__).with_name("hoarding_core.py")
    url = f"127.0.0.1:{port}"
    file = folder / "siege.toml"
    file.write_text(f"""
[run]
name = "siege"
directory = "{folder / "state"}"
mode = "live"

[venue]
rest_url = "http://{url}"
market_ws_url = "ws://{url}/ws/market"
user_ws_url = "ws://{url}/ws/user"
gamma_url = "http://{url}/gamma"

[markets]
slugs = ["{MARKET}"]

[feeds.market]
feeds = ["gamma", "clob_market", "clob_user"]
reconnect_ms_min = 20
gamma_poll_ms = 500

{STRATEGIES[strategy]}
[risk]
order_notional_usd_max = 10
market_notional_usd_max = {limit_usd}
total_notional_usd_max = {limit_usd}
book_age_ms_max = 60_000

[signer]
key = "{KEY_NAME}"
keystores = "{folder / "keys"}"
request_timeout_ms = 2_000

[recorder]
sqlite = false

[host]
stop_ms_max = 5_000
heartbeat_ms_max = 5_000
ready_ms_max = 120_000

[process.core]
command = ["{sys.executable}", "-P", "{core}"]

{more}
""")
    return file
