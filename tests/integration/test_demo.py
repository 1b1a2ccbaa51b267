"""The demo, whole: real processes, real sockets, and what it leaves behind to be checked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deadlines import wait_until

from engine.backoffice.summary import summarize
from engine.bus.counters import CounterFile
from engine.bus.shm import BusError
from engine.tape.reader import TapeReader
from engine.wire.codes import Kind

HALFTICK = Path(sys.executable).with_name("halftick")
MICROS = 1_000_000


@dataclass(frozen=True)
class Played:
    """A finished demo: what it printed, where its files are, where its processes met."""

    directory: Path
    runtime_root: Path
    exit_code: int
    stdout: str
    stderr: str

    @property
    def printed(self) -> dict[str, Any]:
        """The JSON object on stdout."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def truth(self) -> list[dict[str, Any]]:
        """The exchange's own ledger."""
        text = (self.directory / "truth.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def command(directory: Path, *arguments: str) -> list[str]:
    """Return the command line of a small, fast demo."""
    return [str(HALFTICK), "demo", "--json", "--directory", str(directory), *arguments]


def environment(runtime_root: Path) -> dict[str, str]:
    """Return the environment that keeps this demo's processes apart from any other run."""
    return {**os.environ, "HALFTICK_RUNTIME_DIR": str(runtime_root)}


def play(directory: Path, runtime_root: Path, *arguments: str) -> Played:
    """Run a demo to its end."""
    done = subprocess.run(
        command(directory, *arguments),
        env=environment(runtime_root),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    return Played(directory, runtime_root, done.returncode, done.stdout, done.stderr)


def processes_of(runtime_root: Path, directory: Path) -> list[str]:
    """Return the command lines of living processes that belong to a demo."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(runtime_root) in text or str(directory) in text:
            found.append(text)
    return found


def left_behind(runtime_root: Path) -> list[Path]:
    """Return what a demo left in its runtime directory; the last run removes even the root."""
    return list(runtime_root.iterdir()) if runtime_root.exists() else []


@pytest.fixture(scope="module")
def runtime_root() -> Iterator[Path]:
    """A short path: a socket's name has room for about a hundred bytes."""
    path = Path(tempfile.mkdtemp(prefix="ht", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, runtime_root: Path) -> Played:
    """One demo of two markets, shared by the tests that only look."""
    directory = tmp_path_factory.mktemp("demo")
    return play(directory, runtime_root, "--markets", "2", "--speed", "300")


def test_the_demo_ends_clean_and_prints_one_json_object(played: Played) -> None:
    """Exit 0, nothing but one JSON object on stdout, with markets, fills and latencies in it."""
    assert played.exit_code == 0, played.stderr
    printed = played.printed
    assert [m["slug"] for m in printed["markets"]] == [
        "btc-updown-15m-1790586000",
        "btc-updown-15m-1790586900",
    ]
    assert all(m["fills"] > 0 for m in printed["markets"])
    assert {"orders", "fills", "fees_usd", "pnl_usd", "strategies"} <= set(printed["markets"][0])
    assert printed["tick_to_trade_us"]["p50"] > 0
    assert printed["records_lost"] == printed["records_damaged"] == 0


def test_it_leaves_no_process_and_no_ring(played: Played) -> None:
    """After the demo its runtime directory is gone and so is every process of it."""
    assert not left_behind(played.runtime_root)
    assert not processes_of(played.runtime_root, played.directory)


def test_profit_equals_the_exchanges_own_ledger_to_the_micro(played: Played) -> None:
    """Cash out, cash in and payouts, recomputed from the venue's ledger alone, market by market."""
    cash: dict[str, int] = defaultdict(int)
    held: dict[tuple[str, str], int] = defaultdict(int)
    payouts: dict[str, tuple[int, int]] = {}
    tokens: dict[str, set[str]] = defaultdict(set)
    outcome: dict[str, int] = {}
    for row in played.truth:
        if row["type"] == "order":
            outcome[row["token_id"]] = ("Up", "Down").index(row["outcome"])
        if row["type"] == "fill":
            sign = 1 if row["side"] == "BUY" else -1
            assert row["notional"] == row["price"] * row["size"] // MICROS
            cash[row["condition_id"]] -= sign * row["notional"] + row["fee"]
            held[row["condition_id"], row["token_id"]] += sign * row["size"]
            tokens[row["condition_id"]].add(row["token_id"])
        if row["type"] == "resolve":
            payouts[row["condition_id"]] = tuple(row["payouts"])
    for condition, owned in tokens.items():
        for token in owned:
            pays = payouts[condition][outcome[token]]
            cash[condition] += held[condition, token] * pays // MICROS
    summary = summarize(played.directory / "tape.ht")
    assert {m.condition_id: m.total.pnl for m in summary.markets if m.total.fills} == dict(cash)
    assert round(played.printed["totals"]["pnl_usd"] * MICROS) == sum(cash.values())


def test_every_order_the_exchange_received_was_logged_first(played: Played) -> None:
    """Each order in the venue's ledger has its SIGNED entry, by hash, in the signer's order log."""
    dump = subprocess.run(
        [str(HALFTICK), "orderlog", "dump", str(played.directory / "orders.log"), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    signed = dump.stdout
    received = [r for r in played.truth if r["type"] in ("order", "reject")]
    assert received
    assert all(row["order_hash"].removeprefix("0x") in signed for row in received)


def replay(tape: Path) -> subprocess.CompletedProcess[str]:
    """Run `halftick replay --verify`."""
    return subprocess.run(
        [str(HALFTICK), "replay", str(tape), "--verify", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_replay_says_every_byte_again(played: Played) -> None:
    """A fresh core, given the tape's inputs, gives the tape's outputs."""
    done = replay(played.directory / "tape.ht")
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_changed_byte_of_an_input_is_named(played: Played, tmp_path: Path) -> None:
    """Flip one bit of a price in mid-tape: exit 1, and the record's sequence and kind are named."""
    source = played.directory / "tape.ht"
    with TapeReader(source) as tape:
        first = next(iter(tape.slices()))
        index = next(
            i
            for i, row in enumerate(first.rows)
            if int(row[0]) & 0xFFFF == Kind.LEVELS and int(row[4]) & 0xFFFFFFFF
        )
        sequence = int(first.sequences[index])
        needle = first.rows[index].tobytes()
    damaged = tmp_path / "tape.ht"
    data = bytearray(source.read_bytes())
    at = data.index(needle)
    data[at + 33] ^= 0x10
    damaged.write_bytes(data)
    done = replay(damaged)
    assert done.returncode == 1
    assert str(sequence) in done.stdout
    assert "LEVELS" in done.stdout


def test_the_report_stands_alone(played: Played) -> None:
    """The HTML report names every market and asks nothing of the network."""
    text = (played.directory / "report.html").read_text()
    assert all(m["slug"] in text for m in played.printed["markets"])
    for fetched in ("http://", "https://", "<script src", "@import"):
        assert fetched not in text.replace("http://www.w3.org", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "exit_code"),
    [("core", 1), ("signer", 1), ("feeds.market", 0), ("recorder", 0), ("exchange", 1)],
)
def test_kill_9_of_any_process_is_contained(
    process: str, exit_code: int, tmp_path: Path, runtime_root: Path
) -> None:
    """Feeds and recorder come back and the demo goes on; the others end it, halted and clean."""
    demo = subprocess.Popen(
        command(tmp_path, "--markets", "2", "--speed", "150"),
        env=environment(runtime_root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: _counter(runtime_root, "core", "fills") > 0, 60, "the first fill")
    pid = _pid_of(process, runtime_root, tmp_path)
    os.kill(pid, 9)
    stdout, stderr = demo.communicate(timeout=100)
    assert demo.returncode == exit_code, stdout + stderr
    assert not left_behind(runtime_root)
    assert not processes_of(runtime_root, tmp_path)
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    if process != "exchange":
        live = {r["order_hash"]: r["size"] for r in truth if r["type"] == "order"}
        for row in truth:
            if row["type"] == "cancel":
                live.pop(row["order_hash"], None)
            elif row["type"] == "fill" and row["order_hash"] in live:
                live[row["order_hash"]] -= row["size"]
        assert not [h for h, left in live.items() if left > 0], "orders were left at the venue"


@pytest.mark.slow
def test_the_fused_profile_trades_and_replays_the_same_way(
    tmp_path: Path, runtime_root: Path
) -> None:
    """One process and one loop instead of three: same duties, and its tape replays as well."""
    done = play(tmp_path, runtime_root, "--markets", "1", "--speed", "300", "--profile", "fused")
    assert done.exit_code == 0, done.stderr
    assert done.printed["totals"]["fills"] > 0
    assert replay(tmp_path / "tape.ht").returncode == 0


@pytest.mark.slow
def test_an_installed_demo_needs_no_network_but_loopback(
    tmp_path: Path, runtime_root: Path
) -> None:
    """In a network namespace that has nothing but `lo`, the demo runs as ever."""
    inside = " ".join(["ip link set lo up &&", *command(tmp_path, "--markets", "1")])
    if shutil.which("unshare") is None or shutil.which("ip") is None or os.getuid() != 0:
        pytest.skip("needs root, unshare and ip")
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", inside],
        env=environment(runtime_root),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    if "unshare" in done.stderr and "permitted" in done.stderr:
        pytest.skip("network namespaces are not permitted here")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["fills"] > 0


def _counter(runtime_root: Path, process: str, name: str) -> int:
    try:
        counters = CounterFile.attach(
            runtime_root / f"halftick-{os.getuid()}" / "demo" / f"{process}.counters"
        )
    except (BusError, OSError):
        return 0
    try:
        return counters.get(counters.index(name))
    finally:
        counters.close()


def _pid_of(process: str, runtime_root: Path, directory: Path) -> int:
    if process != "exchange":
        return _counter(runtime_root, process, "pid")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if b"engine.exchange" in text and str(directory).encode() in text:
            return int(path.parent.name)
    raise AssertionError("the exchange is not running")
