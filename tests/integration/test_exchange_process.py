"""`python -m engine.exchange` as a process: ready line, full play, refusals, signals."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from deadlines import PATIENCE_S
from exchange_support import write_recording

from engine.exchange.recording import load_recording
from engine.math.units import micros_from_text

COMMAND = [sys.executable, "-m", "engine.exchange"]


@asynccontextmanager
async def exchange(*arguments: str) -> AsyncIterator[tuple[dict[str, Any], Any]]:
    """Run the exchange; give its ready line and the process."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--ready-json", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line, (await process.communicate())[1].decode()
        yield orjson.loads(line), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def rebuild(ready: dict[str, Any]) -> dict[tuple[str, int], Any]:
    """Play everything; return each token's rebuilt (bids, asks) by the timestamp of each frame."""
    tokens = [token for market in ready["markets"] for token in market["tokens"]]
    books: dict[str, tuple[dict[int, int], dict[int, int]]] = {t: ({}, {}) for t in tokens}
    states: dict[tuple[str, int], Any] = {}
    left = {market["condition_id"] for market in ready["markets"]}

    def apply(frame: dict[str, Any]) -> None:
        ts = int(frame["timestamp"])
        if frame["event_type"] == "book":
            books[frame["asset_id"]] = tuple(
                {micros_from_text(x["price"]): micros_from_text(x["size"]) for x in frame[side]}
                for side in ("bids", "asks")
            )
            touched = {frame["asset_id"]}
        elif frame["event_type"] == "price_change":
            for entry in frame["price_changes"]:
                side = books[entry["asset_id"]][entry["side"] == "SELL"]
                price, size = micros_from_text(entry["price"]), micros_from_text(entry["size"])
                side.pop(price, None)
                if size:
                    side[price] = size
            touched = {entry["asset_id"] for entry in frame["price_changes"]}
        else:
            left.discard(frame["market"] if frame["event_type"] == "market_resolved" else "")
            return
        for token in touched:
            states[token, ts] = tuple(dict(side) for side in books[token])

    async with ClientSession() as session:
        stream = await session.ws_connect(ready["market_ws"], max_msg_size=0)
        await stream.send_json(
            {"type": "market", "assets_ids": tokens, "custom_feature_enabled": True}
        )
        await stream.receive_str(timeout=PATIENCE_S)
        async with session.post(ready["start"]) as response:
            assert response.status == 200
        async with asyncio.timeout(60):
            while left:
                apply(orjson.loads(await stream.receive_str()))
        async with session.get(ready["status"]) as response:
            status = await response.json()
        assert (status["done"], status["played"]) == (True, status["total"])
    return states


@pytest.mark.parametrize("source", ["folder", "resolvedkit"])
async def test_streamed_books_equal_the_recording(source: str, tmp_path: Path):
    """A client who was there from the start holds the recorded book at every recorded moment."""
    if source == "folder":
        write_recording(tmp_path)
        name = str(tmp_path)
    else:
        pytest.importorskip("resolvedkit")
        name = source
    arguments = ("--recording", name, "--markets", "2", "--speed", "100000", "--hold")
    async with exchange(*arguments) as (ready, _):
        states = await rebuild(ready)
    recording = load_recording(name, 2)
    compared = 0
    for row in range(len(recording)):
        market = recording.markets[recording.market[row]]
        token = str(market.tokens[recording.outcome[row]])
        ts = int(recording.times_ms[row])
        if ts < market.end_ms and (token, ts) in states:
            assert states[token, ts] == recording.book(row)
            compared += 1
    assert compared > len(recording) // 2


async def test_ready_line_and_truth_name_everything(tmp_path: Path):
    """The ready line has URLs, accounts with keys and markets; SIGTERM ends cleanly with 0."""
    write_recording(tmp_path)
    truth = tmp_path / "truth.jsonl"
    arguments = ("--recording", str(tmp_path), "--accounts", "2", "--seed", "s")
    async with exchange(*arguments, "--truth", str(truth)) as (ready, process):
        assert {"rest", "market_ws", "user_ws", "gamma", "status", "accounts"} <= set(ready)
        assert ready["pid"] == process.pid
        assert {"prices_ws", "rtds_ws", "data_api", "relayer", "chain_rpc"} <= set(ready)
        kinds = [account["signature_type"] for account in ready["accounts"]]
        assert kinds == [0, 0, 1, 2, 3]
        assert len({account["address"] for account in ready["accounts"]}) == 5
        own = [account["funder"] == account["address"] for account in ready["accounts"]]
        assert own == [True, True, False, False, False]
        assert set(ready["accounts"][0]["api"]) == {"key", "secret", "passphrase"}
        assert [len(market["tokens"]) for market in ready["markets"]] == [2, 2]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert await process.stderr.read() == b""
    start = json.loads(truth.read_text().splitlines()[0])
    assert (start["type"], start["balance"]) == ("start", 10_000_000_000)
    async with exchange(*arguments) as (again, _):
        assert again["accounts"] == ready["accounts"]


def run(*arguments: str) -> tuple[int, list[str]]:
    """Return the exit code and the lines on stderr of a run that must end by itself."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr.splitlines()


def test_a_busy_port_is_one_clear_line(tmp_path: Path):
    """A port that is taken refuses the start: exit 78 and one line naming it."""
    write_recording(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = run("--recording", str(tmp_path), "--port", str(port))
    assert code == 78
    (line,) = lines
    assert "port cannot be used" in line
    assert str(port) in line


def test_bad_paths_and_usage_are_refused(tmp_path: Path):
    """A missing recording or ledger folder exits 78, wrong usage 2; never a traceback."""
    assert run("--recording", str(tmp_path / "no"))[0] == 78
    write_recording(tmp_path)
    code, (line,) = run("--recording", str(tmp_path), "--truth", str(tmp_path / "no" / "x"))
    assert (code, "truth ledger cannot be written" in line) == (78, True)
    for arguments in (["--speed", "-1"], ["--mode", "mirror"], ["--markets", "x"], ["--what"]):
        code, lines = run(*arguments)
        assert code == 2
        assert "Traceback" not in "\n".join(lines)


async def test_exchange_dies_with_its_parent(tmp_path: Path):
    """When whoever started it is killed, the exchange goes too: nothing is left behind."""
    write_recording(tmp_path)
    arguments = [*COMMAND, "--ready-json", "--hold", "--recording", str(tmp_path)]
    # The child's own line is passed through, so that its pid is known.
    program = f"import subprocess; subprocess.run({arguments!r})"
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert await asyncio.wait_for(parent.stdout.readline(), 30)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(PATIENCE_S):
        # The pipe ends when the last process that could write to it has gone.
        assert await parent.stdout.read() == b""


async def test_raw_garbage_leaves_no_trace_on_the_terminal(tmp_path: Path):
    """Bytes that are no HTTP, and posters who vanish, are answered or dropped without a word."""
    write_recording(tmp_path)
    async with exchange("--recording", str(tmp_path), "--hold") as (ready, process):
        host, _, port = ready["rest"].removeprefix("http://").partition(":")
        head = b"POST /order HTTP/1.1\r\nHost: x\r\n"
        for garbage in (
            b"\x00\xff\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            head + b"Content-Length: zz\r\n\r\n",
            head + b"Content-Length: 50\r\n\r\nhalf",
            b"GET /ws/market HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with ClientSession() as session, session.get(ready["rest"] + "/ok") as response:
            assert await response.json() == "OK"
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert await process.stderr.read() == b""
