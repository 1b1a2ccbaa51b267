"""A venue for live mode: the local exchange in real time, and somebody there to trade with.

For the run it is the venue like any other: it is pointed at URLs, and its key is in a keystore.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from engine.wire.codes import Side, Tif
from signer.amounts import limit_amounts
from signer.auth import ApiCredentials, L2Signer
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.order_v2 import Order, body, order_hash

ROOT = Path(__file__).resolve().parents[2]
HALFTICK = (sys.executable, "-m", "engine.cli.main")
KEY_NAME = "hot"
MARKET = "standing-neg-risk"  # one without a window: a test may begin at any time of day
TICK = 1_000
PAUSE_S = 0.3  # between the other account's orders: a strategy has a requote interval
CHEAP = ("--memory-mib", "32", "--passes", "1", "--lanes", "1")


def pipe_of(text: str) -> int:
    """Return the read end of a pipe that holds a text."""
    source, target = os.pipe()
    os.write(target, text.encode())
    os.close(target)
    return source


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What is signed goes where it was sent, or nowhere."""

    def redirect_request(self, *_request: object) -> None:
        """Follow none: the answer is an HTTPError then."""


_OPENER = urllib.request.build_opener(_NoRedirects)


class LiveVenue:
    """`python -m engine.exchange --mode closed`: empty books, our orders, real time."""

    def __init__(self, truth: Path, *more: str) -> None:
        """Start it. more: options of the exchange."""
        self._truth = truth
        self._bid_due_s = 0.0
        command = [sys.executable, "-m", "engine.exchange", "--mode", "closed", "--ready-json"]
        command += ["--accounts", "2", "--truth", str(truth), *more]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.accounts: list[dict[str, Any]] = self.ready["accounts"]
        (market,) = (each for each in self.ready["markets"] if each["slug"] == MARKET)
        self.tokens = [int(token) for token in market["tokens"]]

    def account(self, signature_type: int) -> dict[str, Any]:
        """Return the funded account of a kind; the first of plain addresses."""
        return next(each for each in self.accounts if each["signature_type"] == signature_type)

    def truth(self, kind: str, maker: str) -> list[dict[str, Any]]:
        """Return the truth ledger's rows of one type about one wallet."""
        rows = [json.loads(line) for line in self._truth.read_text().splitlines()]
        return [row for row in rows if row["type"] == kind and row.get("maker") == maker]

    def tokens_wanted_by(self, maker: str) -> set[str]:
        """Return the tokens a wallet has had accepted orders for."""
        return {str(row["token_id"]) for row in self.truth("order", maker)}

    def trade(self, outcome: int, price: int, size: int) -> None:
        """Have the other account bid, unless it just did: to be called as often as one likes."""
        if time.monotonic() >= self._bid_due_s:
            self._bid_due_s = time.monotonic() + PAUSE_S
            self.bid(outcome, price, size)

    def bid(self, outcome: int, price: int, size: int) -> str:
        """Have the other account bid for an outcome; return the venue's status of the order."""
        return self.place(self.accounts[1], outcome, price, size)[1]

    def place(
        self, account: dict[str, Any], outcome: int, price: int, size: int
    ) -> tuple[str, str]:
        """Have an account of a plain address bid; return the order's hash and its status."""
        key = SigningKey.from_hex(account["private_key"])
        paid, got = limit_amounts(Side.BUY, price, size, TICK)
        order = Order(
            salt=time.monotonic_ns() % (1 << 50),
            maker=account["funder"],
            signer=account["address"],
            token_id=self.tokens[outcome],
            maker_amount=paid,
            taker_amount=got,
            side=int(Side.BUY),
            signature_type=0,
            timestamp_ms=time.time_ns() // 1_000_000,
        )
        digest = order_hash(order, exchange_domain(2, 137, neg_risk=True).separator())
        api = account["api"]
        text = body(order, key.sign(digest), api["key"], Tif.GTC)
        l2 = L2Signer(
            ApiCredentials(api["key"], api["secret"], api["passphrase"]), account["address"]
        )
        request = urllib.request.Request(
            self.ready["rest"] + "/order",
            data=text,
            headers=l2.headers(int(time.time()), "POST", "/order", text),
            method="POST",
        )
        with _OPENER.open(request, timeout=10) as answer:
            status: str = json.load(answer)["status"]
        return "0x" + digest.hex(), status

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def import_key(directory: Path, account: dict[str, Any], passphrase: str) -> None:
    """Put an account's key into a keystore, without its API credentials."""
    fds = pipe_of(account["private_key"]), pipe_of(passphrase)
    kind = str(account["signature_type"])
    try:
        subprocess.run(
            [*HALFTICK, "keys", "import", KEY_NAME, "--directory", str(directory), *CHEAP,
             "--key-fd", str(fds[0]), "--passphrase-fd", str(fds[1]),
             "--signature-type", kind, "--funder", account["funder"]],
            pass_fds=fds, check=True, capture_output=True, cwd=ROOT,
        )  # fmt: skip
    finally:
        for descriptor in fds:
            os.close(descriptor)


def live_config(venue: LiveVenue, folder: Path, *, profile: str = "shared") -> Path:
    """Write the configuration of a live run at this venue; its keystores are in `folder`/keys."""
    ready = venue.ready
    file = folder / "live.toml"
    file.write_text(f"""
[run]
name = "live"
directory = "{folder / "state"}"
mode = "live"
profile = "{profile}"

[venue]
rest_url = "{ready["rest"]}"
market_ws_url = "{ready["market_ws"]}"
user_ws_url = "{ready["user_ws"]}"
gamma_url = "{ready["gamma"]}"

[markets]
slugs = ["{MARKET}"]

[feeds.market]
feeds = ["gamma", "clob_market", "clob_user"]
reconnect_ms_min = 20
gamma_poll_ms = 500

[strategy.spread]
enabled = true
size_shares = 10
improve_ticks = 1
cutoff_s = 0

[risk]
book_age_ms_max = 60_000

[signer]
key = "{KEY_NAME}"
keystores = "{folder / "keys"}"

[host]
stop_ms_max = 5_000
ready_ms_max = 120_000
""")
    return file
