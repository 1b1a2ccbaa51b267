"""`kill -9` of a supervisor, and of everything at once, with orders open at the venue."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_venue import HALFTICK, ROOT, TICK, LiveVenue, import_key, live_config, pipe_of
from test_secrets_do_not_leak import count
from toys import is_gone, runtime_root, wait_for

from engine.host.rundir import runtime_dir
from engine.host.status import read_status
from signer.auth import ApiCredentials, L2Signer

__all__ = ["runtime_root"]
DEADLINE_S = 150.0
CANCELLED_S_MAX = 20.0
PASSPHRASE = "a passphrase"


@pytest.fixture
def venue(tmp_path: Path, runtime_root: Path) -> Iterator[LiveVenue]:
    """A venue with our account, whose key is in a keystore."""
    venue = LiveVenue(tmp_path / "truth.jsonl")
    import_key(tmp_path / "keys", venue.account(0), PASSPHRASE)
    yield venue
    venue.close()


def open_orders(venue: LiveVenue) -> list[dict[str, Any]]:
    """Return the orders of our account that rest at the venue."""
    account = venue.account(0)
    api = account["api"]
    credentials = ApiCredentials(api["key"], api["secret"], api["passphrase"])
    headers = L2Signer(credentials, account["address"]).headers(
        int(time.time()), "GET", "/data/orders"
    )
    request = urllib.request.Request(venue.ready["rest"] + "/data/orders", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        rows: list[dict[str, Any]] = json.load(answer)["data"]
    return rows


def started(venue: LiveVenue, folder: Path) -> subprocess.Popen[str]:
    """Return a live run."""
    source = pipe_of(PASSPHRASE)
    command = [*HALFTICK, "run", "--config", str(live_config(venue, folder)), "--live", "--json"]
    command += ["--confirm-wallet", venue.account(0)["funder"], "--passphrase-fd", str(source)]
    process = subprocess.Popen(
        command, pass_fds=[source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=ROOT,
    )  # fmt: skip
    os.close(source)
    return process


def bids(venue: LiveVenue, process: subprocess.Popen[str]) -> None:
    """Move the book until the run has two bids at the venue."""

    def has(process_name: str, counter: str) -> bool:
        assert process.poll() is None, process.communicate()
        return count(runtime_dir("live"), process_name, counter) > 0

    wait_for(lambda: has("feeds.market", "user_connects"), "both sockets are up", DEADLINE_S)
    venue.bid(1, 490_000, 100_000_000)
    prices = itertools.cycle(range(450_000, 480_000, TICK))
    wait_for(
        lambda: bool(venue.trade(0, next(prices), 5_000_000)) or len(open_orders(venue)) == 2,
        "two orders rest",
        DEADLINE_S,
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_orders_of_a_killed_supervisor_are_cancelled_in_time(
    venue: LiveVenue, tmp_path: Path
) -> None:
    """Its processes notice, cancel both orders and end; the last one leaves no directory."""
    process = started(venue, tmp_path)
    try:
        bids(venue, process)
        pids = [each.pid for each in read_status(runtime_dir("live")).processes]
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: open_orders(venue) == [], "no order is open", CANCELLED_S_MAX)
    wait_for(lambda: all(is_gone(pid) for pid in pids), "processes are gone", CANCELLED_S_MAX)
    assert not runtime_dir("live").exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_is_left_by_a_kill_of_everything_is_named_and_cleared(
    venue: LiveVenue, tmp_path: Path
) -> None:
    """Both orders stay open, for nothing of ours is left to cancel them; the next start names the
    files it finds, and after its stop no order is open."""
    process = started(venue, tmp_path)
    try:
        bids(venue, process)
        pids = [each.pid for each in read_status(runtime_dir("live")).processes]
    finally:
        process.send_signal(signal.SIGSTOP)  # or it would answer the first deaths
        for pid in (*pids, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
    assert len(open_orders(venue)) == 2
    assert runtime_dir("live").exists()
    process = started(venue, tmp_path)
    try:
        wait_for(
            lambda: (
                (runtime_dir("live") / "signer.counters").exists()
                and read_status(runtime_dir("live")).processes != ()
                and all(
                    each.state == "READY" for each in read_status(runtime_dir("live")).processes
                )
                and len(read_status(runtime_dir("live")).processes) == len(pids)
            ),
            "the next run is up",
            DEADLINE_S,
        )
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in err
    events = [json.loads(line) for line in out.splitlines()]
    (leftovers,) = [event["detail"] for event in events if event["what"] == "leftovers"]
    assert "signer.counters" in leftovers
    assert "tape.ring" in leftovers
    assert open_orders(venue) == []
