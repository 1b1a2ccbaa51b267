"""`halftick run --live` from keystore to stop, at a venue that happens to be on this machine."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deadlines import wait_until
from live_venue import HALFTICK, ROOT, TICK, LiveVenue, import_key, live_config, pipe_of
from test_secrets_do_not_leak import count, files_below, leaks, seen_of

from engine.host.status import read_status

DEADLINE_S = 60.0
RUNS = {
    "EOA": (0, "shared"),
    "proxy": (1, "shared"),
    "Safe": (2, "shared"),
    "deposit wallet": (3, "shared"),
    "fused": (0, "fused"),
}


@dataclass
class LiveRun:
    """What one live run did, and what was left of it."""

    account: dict[str, Any]
    marks: dict[str, str]
    exit_code: int = -1
    out: str = ""
    orders: list[dict[str, Any]] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    cancels: list[dict[str, Any]] = field(default_factory=list)
    processes: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, bytes] = field(default_factory=dict)
    memory: dict[str, bytes] = field(default_factory=dict)


def memory_of(pid: int) -> bytes:
    """Return everything a process can write to; needs the rights of root."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            where, rights, *_ = line.split()
            first, last = (int(part, 16) for part in where.split("-"))
            if rights.startswith("rw") and "/dev/shm" not in line:
                try:
                    memory.seek(first)
                    found.append(memory.read(last - first))
                except (OSError, ValueError, OverflowError):
                    continue
    return b"".join(found)


def live_run(folder: Path, signature_type: int, profile: str = "shared") -> LiveRun:
    """Trade as an account of a kind until it has a fill, stop, and return what was seen."""
    with ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="ht", dir="/dev/shm"))
        venue = LiveVenue(folder / "truth.jsonl")
        stack.callback(venue.close)
        account = venue.account(signature_type)
        passphrase = "live-mark-" + secrets.token_hex(12)
        import_key(folder / "keys", account, passphrase)
        run = LiveRun(
            account,
            {
                "private key": account["private_key"],
                "API secret": account["api"]["secret"],
                "API passphrase": account["api"]["passphrase"],
                "keystore passphrase": passphrase,
            },
        )
        source = pipe_of(passphrase)
        command = [*HALFTICK, "run", "--config", str(live_config(venue, folder, profile=profile))]
        command += ["--live", "--confirm-wallet", account["funder"], "--json"]
        command += ["--passphrase-fd", str(source)]
        command += ["--accept-fused"] if profile == "fused" else []
        process = subprocess.Popen(
            command, pass_fds=[source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=ROOT, env={**os.environ, "HALFTICK_RUNTIME_DIR": root},
        )  # fmt: skip
        os.close(source)
        stack.enter_context(process)
        stack.callback(process.kill)
        runtime_dir = Path(root) / f"halftick-{os.getuid()}" / "live"

        maker = account["funder"]

        def has(process_name: str, counter: str) -> bool:
            assert process.poll() is None, process.communicate()
            return count(runtime_dir, process_name, counter) > 0

        def is_bidding() -> bool:
            return has("core", "orders_open") and len(venue.tokens_wanted_by(maker)) == 2

        wait_until(lambda: has("feeds.market", "user_connects"), DEADLINE_S, "both sockets are up")
        venue.bid(1, 490_000, 100_000_000)
        # The core may hear of the book before it hears that it will hear of fills: move the book.
        prices = itertools.cycle(range(450_000, 480_000, TICK))
        wait_until(
            lambda: venue.trade(0, next(prices), 5_000_000) or is_bidding(),
            DEADLINE_S,
            "we bid for both outcomes",
        )
        # Whoever buys the other outcome dearly enough meets our bid: a set is minted.
        wait_until(
            lambda: venue.trade(1, 555_000, 5_000_000) or has("core", "fills"),
            DEADLINE_S,
            "a fill arrives",
        )
        run.processes = {
            each.name: each.pid for each in read_status(runtime_dir).processes if each.pid
        }
        run.processes["supervisor"] = process.pid
        run.evidence |= seen_of(run.processes)
        run.evidence |= {f"running: {k}": v for k, v in files_below(runtime_dir).items()}
        if os.geteuid() == 0:
            run.memory = {name: memory_of(pid) for name, pid in run.processes.items()}
        process.send_signal(signal.SIGINT)
        run.out, err = process.communicate(timeout=DEADLINE_S)
        run.exit_code = process.returncode
        run.evidence |= {"output": (run.out + err).encode(), **files_below(folder)}
        for kind in ("order", "fill", "cancel"):
            setattr(run, f"{kind}s", venue.truth(kind, maker))
        return run


@pytest.fixture(scope="module", params=RUNS.values(), ids=list(RUNS))
def traded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LiveRun:
    """One live run of each kind of wallet, and one in a single process."""
    return live_run(tmp_path_factory.mktemp("live"), *request.param)


@pytest.mark.slow
def test_live_orders_are_the_wallets_own_and_none_is_left(traded: LiveRun) -> None:
    """The venue's ledger has our orders and a fill; a stop cancels what rests and ends with 0."""
    assert traded.exit_code == 0, traded.out
    assert len(traded.orders) >= 2
    assert traded.fills
    over = {row["order_hash"] for row in (*traded.cancels, *traded.fills)}
    assert {row["order_hash"] for row in traded.orders} <= over
    assert '"what":"admitted"' in traded.out


@pytest.mark.slow
def test_no_secret_of_a_live_run_is_anywhere(traded: LiveRun) -> None:
    """Key, passphrases and API secret are in no log, tape, ring, file, /proc entry or output."""
    kinds = {"orders.log", "tape.ht", "run.json", "signer.counters", "hot.keystore", "live.toml"}
    assert kinds <= {Path(where).name for where in traded.evidence}
    assert all(f"{name}: /proc/cmdline" in traded.evidence for name in traded.processes)
    for mark in traded.marks.values():
        assert leaks(traded.evidence, mark) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read another process's memory")
def test_only_the_signer_ever_has_the_key(traded: LiveRun) -> None:
    """The key is in the memory of who signs and in nobody else's; the passphrase in nobody's."""
    text = traded.marks["private key"].removeprefix("0x")
    forms = {bytes.fromhex(text), text.encode()}
    holders = {n for n, seen in traded.memory.items() if any(form in seen for form in forms)}
    assert holders == {"signer" if "signer" in traded.memory else "core"}
    passphrase = traded.marks["keystore passphrase"].encode()
    assert [name for name, seen in traded.memory.items() if passphrase in seen] == []
