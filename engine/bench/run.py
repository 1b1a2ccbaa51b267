"""Runs the tick-to-trade bench: engine and floor in turn, one venue, one schedule.

```
                    market socket                    POST /order
 venue (core 0) ────────────────────> engine or floor ────────────> venue
          stamps both ends of a tick with the same monotonic clock
```
The engine is the real one: a supervisor and its processes by profile, every gate, ring, log and
signature. Rounds alternate between it and the floor; who is not measured is stopped (SIGSTOP), so
that it costs the other nothing. The first ticks of each round only warm up and are not counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engine.bench import market
from engine.bench.plan import Plan, Signing
from engine.bench.result import Played, Result
from engine.bench.stages import stamps_of
from engine.bus.counters import read_counters
from engine.host import pin
from engine.host.config.load import settings_of
from engine.host.config.schema import Settings
from engine.host.errors import HostError
from engine.host.plan import Role, python_command
from engine.host.supervisor import Supervisor

ENGINE, FLOOR = "engine", "floor"
ROUND_S_MAX = 120.0  # beyond the ticks themselves
READY_S_MAX = 60.0
SETTLE_S = 0.2  # for who was stopped to do what it has missed: heartbeats, housekeeping
TRIAL_TICKS, RETRY_S = 20, 0.1
PATIENT_MS = 3_600_000  # what is stopped between its rounds must not be taken for dead
STRATEGY = "engine.bench.strategy:OneOrderATick"
NONCES = 1 << 14  # the pool is full before the first tick and lasts for the whole bench
SIGNED_BY = {"full": "signed_full", "nonce": "signed_with_nonce", "presigned": "signed_ahead"}
_PATIENCE = {"silence_ms_max": PATIENT_MS}


class RoundError(HostError):
    """A round the venue cannot play: the client has not subscribed."""


def measure(plan: Plan, directory: Path, tell: Callable[[str], None]) -> Result:
    """Run the bench in an empty directory; return what was measured.

    Raises HostError when a process does not come up or a round cannot be played.
    """
    with _venue(directory) as urls:
        settings = _settings(plan, directory, urls)
        tell("starting")
        with Supervisor(settings, account=market.throwaway_account()) as supervisor:
            supervisor.start()
            with _floor(supervisor, urls) as floor:
                rig = Rig(supervisor, floor, urls["rest"])
                rig.place()
                played = rig.play(plan, tell)
            offset_ns = supervisor.fleet.clock.offset_ns
            signed = _signed(supervisor.fleet.runtime_dir)
            supervisor.stop()
    tell("reading the tape")
    stamps = stamps_of(directory / "run" / "tape.ht", offset_ns)
    return Result.of(plan, played, stamps, signed)


def _signed(runtime_dir: Path) -> dict[str, int]:
    """Return how many orders were signed on each rung, warm-up and all."""
    seen = read_counters(runtime_dir / "signer.counters")
    return {rung: seen[counter] for rung, counter in SIGNED_BY.items()}


class Rig:
    """The processes of a bench that runs."""

    def __init__(
        self, supervisor: Supervisor, floor: subprocess.Popen[bytes], rest_url: str
    ) -> None:
        self._supervisor = supervisor
        self._floor = floor
        self._rest_url = rest_url

    def place(self) -> None:
        """Give the one busy process the last core, and everyone else the first.

        The profiles with several busy processes are left to the kernel: that is how they run.
        """
        cores = pin.cores()
        if len(cores) < 2:
            return
        os.sched_setaffinity(self._floor.pid, {cores[-1]})
        children = self._supervisor.fleet.children.values()
        if any(child.part.role is Role.SIGNER for child in children):
            return
        for child in children:
            core = cores[-1] if child.part.role is Role.CORE else cores[0]
            os.sched_setaffinity(child.pid, {core})

    def play(self, plan: Plan, tell: Callable[[str], None]) -> list[Played]:
        """Play all rounds, floor and engine in turn."""
        for client in (FLOOR, ENGINE):
            tell(f"waiting for the {client}")
            with self._alone(client):
                self._wait_until_answering(client)
        played = []
        counted, every = plan.round_ticks
        counted_ticks = slice(plan.warmup_ticks, plan.warmup_ticks + counted)
        for number in range(plan.rounds):
            for client in (FLOOR, ENGINE):
                tell(f"round {number + 1} of {plan.rounds}: {client}")
                with self._alone(client):
                    time.sleep(SETTLE_S)
                    before = self._collections()
                    content = self._round(client, every, plan.rate)
                    collections = self._collections() - before
                played.append(Played.of(client, content, counted_ticks, collections))
        return played

    @contextlib.contextmanager
    def _alone(self, client: str) -> Iterator[None]:
        """Let one client run and the other stand still."""
        engine = [child.pid for child in self._supervisor.fleet.children.values()]
        stands = [self._floor.pid] if client == ENGINE else engine
        for pid in stands:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stands:
                os.kill(pid, signal.SIGCONT)

    def _wait_until_answering(self, client: str) -> None:
        """Send a few ticks now and then until each is answered by an order."""
        deadline_s = time.monotonic() + READY_S_MAX
        seen = ""
        while time.monotonic() < deadline_s:
            if self._floor.poll() is not None:
                raise HostError(f"the floor ended: exit_code={self._floor.returncode}")
            try:
                arrived_ns = self._round(client, TRIAL_TICKS, TRIAL_TICKS)["arrived_ns"]
                if all(arrived_ns):
                    return
                seen = f"answered={np.count_nonzero(arrived_ns)} of {TRIAL_TICKS}"
            except RoundError as error:
                seen = str(error)
                time.sleep(RETRY_S)
        raise HostError(f"the {client} does not answer its ticks: within_s={READY_S_MAX}, {seen}")

    def _round(self, client: str, ticks: int, rate: int) -> dict[str, Any]:
        url = f"{self._rest_url}/round?client={client}&ticks={ticks}&rate={rate}"
        request = urllib.request.Request(url, method="POST")  # noqa: S310  loopback
        try:
            with urllib.request.urlopen(request, timeout=ROUND_S_MAX + ticks / rate) as answer:  # noqa: S310
                content: dict[str, Any] = json.load(answer)
                return content
        except urllib.error.HTTPError as error:
            raise RoundError(f"round refused: {error.read().decode()}") from None
        except OSError as error:
            raise HostError(f"the venue of the bench is gone: {error}") from None

    def _collections(self) -> int:
        children = self._supervisor.fleet.children.values()
        return sum(c.counters().get("collections", 0) for c in children if c.name != "recorder")


@contextlib.contextmanager
def _venue(directory: Path) -> Iterator[dict[str, str]]:
    """A running venue; yields its URLs."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "venue.out").open("wb") as output:
        process = subprocess.Popen(
            python_command("-m", "engine.bench.venue"), stdout=subprocess.PIPE, stderr=output
        )
    with _ended(process):
        if len(cores := pin.cores()) > 1:
            os.sched_setaffinity(process.pid, {cores[0]})
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise HostError(f"the venue of the bench did not start: log={directory}/venue.out")
        yield json.loads(line)


@contextlib.contextmanager
def _floor(supervisor: Supervisor, urls: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A floor process, coming up."""
    fleet = supervisor.fleet
    rest_url, ws_url = f"{urls['rest']}/{FLOOR}", f"{urls['ws']}/{FLOOR}/ws/market"
    command = python_command("-m", "engine.bench.floor", str(fleet.runtime_dir), rest_url, ws_url)
    with (fleet.state_dir / "log" / "floor.out").open("wb") as output:
        process = subprocess.Popen(command, stderr=output)
    with _ended(process):
        yield process


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process whatever happens."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(READY_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _settings(plan: Plan, directory: Path, urls: dict[str, str]) -> Settings:
    """Return the engine's settings: everything on, every limit out of the way."""
    rest, sockets = f"{urls['rest']}/{ENGINE}", f"{urls['ws']}/{ENGINE}/ws"
    much, many = 1_000_000_000, 1_000_000
    return settings_of(
        {
            "run": {
                "name": f"bench-{os.getpid()}",
                "directory": str(directory / "run"),
                "profile": plan.profile,
            },
            "venue": {
                "rest_url": rest,
                "gamma_url": f"{rest}/gamma",
                "market_ws_url": f"{sockets}/market",
                "user_ws_url": f"{sockets}/user",
            },
            "markets": {"slugs": [market.SLUG]},
            "feeds": {"market": {"feeds": ["gamma", "clob_market", "clob_user"]} | _PATIENCE},
            "strategy": {
                "tick_taker": {"enabled": True, "path": STRATEGY, "armed": int(plan.arming)}
            },
            "risk": {
                "order_notional_usd_max": much,
                "market_notional_usd_max": much,
                "total_notional_usd_max": much,
                "orders_per_second_max": many,
                "orders_open_max": many,
                "book_age_ms_max": PATIENT_MS,
            },
            "signer": {
                "presigned": int(plan.arming > 0),  # room for the one order that is armed
                "nonces": NONCES if plan.signing is Signing.NONCE else 0,
                "presigned_levels": 0,
                "size_shares_max": many,
                "order_notional_usd_max": many,
                "orders_per_second_max": many,
                "daily_notional_usd_max": 0,
                "rates": {
                    "orders_per_second": many,
                    "orders_burst": many,
                    "cancels_per_second": many,
                    "cancels_burst": many,
                    "post_order_per_10s": many,
                },
                "core_silence_ms_max": PATIENT_MS,
            },
            "recorder": {"sqlite": False},
            "host": {"heartbeat_ms_max": PATIENT_MS},
        },
        "bench",
    )
