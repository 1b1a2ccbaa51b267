"""What a round plays on: a venue, the proxy before it, the crowd, and the run under siege."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from integration.live_venue import LiveVenue, import_key
from siege.crowd import Crowd
from siege.evidence import Quiet, Stop
from siege.ledger import Ledger
from siege.proxy import Proxy
from siege.setup import write_config
from siege.trader import Trader
from siege.wrong_door import WrongDoor

CALM_S_MAX = 12.0
BOOKED_S_MAX = 8.0  # what the venue made is heard of within 5 s, and the gauges are a little late
RESTS_S = 0.3  # how long a calm must last: what is on its way has arrived by then
MS = 1_000_000


@dataclass
class Stage:
    """Everything alive of a round. halts: command and end of each halt, wall clock ms."""

    folder: Path
    rng: random.Random
    venue: LiveVenue
    proxy: Proxy
    door: WrongDoor
    trader: Trader
    passphrase: str
    crowd: Crowd | None = None
    halts: list[list[int]] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    quiets: list[Quiet] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    unknown_s: float | None = 0.0
    starts_failed: int = 0

    @property
    def account(self) -> dict[str, str]:
        """Who trades: the venue's first account."""
        return self.venue.accounts[0]

    @property
    def state(self) -> Path:
        """The run's state directory."""
        return self.folder / "state"

    def ledger(self) -> Ledger:
        """Return the venue's ledger of the run's wallet as it is now."""
        return Ledger.read(self.folder / "truth.jsonl", self.account["address"], self.foreign)

    def pause(self, low_s: float, high_s: float) -> None:
        """Let the run trade for a seeded while: the moment of what follows."""
        time.sleep(self.rng.uniform(low_s, high_s))

    def begin(self) -> None:
        """Let the crowd in and the run start; wait until it has orders, as far as it will."""
        if self.crowd is None:
            self.crowd = Crowd(self.venue, random.Random(self.rng.random()))
        self.up()
        self.trader.until(lambda: self.trader.core().get("orders_opened", 0), 5.0)

    def up(self) -> None:
        """See to it that a run is up and not halted, as an operator would."""
        self._end_halts()
        if not self.trader.is_up:
            self.trader.clear_halt()
            if not self.trader.start():
                self.starts_failed += 1
        elif self.trader.core().get("halted"):
            self.trader.command("resume")

    def let_loose(self) -> None:
        """Let the venue's faults begin."""
        url = str(self.venue.ready["rest"]) + "/_exchange/faults"
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10).close()

    def halt(self) -> None:
        """Command a halt, at a moment that is kept."""
        self.halts.append([time.time_ns() // MS, 0])
        self.trader.command("halt")

    def place_elsewhere(self) -> None:
        """Bid with the run's own wallet from another program."""
        price = self.rng.randrange(440_000, 570_000, 1_000)
        size = self.rng.randrange(5, 9) * MS
        with contextlib.suppress(OSError, ValueError, KeyError, HTTPException):
            order_hash, _ = self.venue.place(self.account, self.rng.randrange(2), price, size)
            self.foreign.add(order_hash)

    def stop(self, when: str) -> None:
        """Stop the run in order and note what is left at the venue."""
        exit_code = self.trader.stop()
        self._end_halts()
        ledger = self.ledger()
        self.stops.append(Stop(when, exit_code, frozenset(ledger.alive() - ledger.foreign)))

    def calm(self, when: str) -> None:
        """End all trading, wait for what is unknown to end, compare what is held."""
        if self.crowd is not None:
            self.crowd.stop()
            self.crowd = None
        began_s = time.monotonic()
        is_known = self.trader.until(
            lambda: self.trader.core().get("orders_unknown", 1) == 0, CALM_S_MAX
        )
        lasted_s = round(time.monotonic() - began_s, 2)
        worst_s = None if self.unknown_s is None else max(self.unknown_s, lasted_s)
        self.unknown_s = worst_s if is_known else None
        self.trader.until(self._agrees, BOOKED_S_MAX)
        time.sleep(RESTS_S)
        core, venue = self._held()
        self.quiets.append(Quiet(when, core[0], venue[0], core[1], venue[1]))

    def _agrees(self) -> bool:
        core, venue = self._held()
        return core == venue

    def _held(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return shares and cash by the core's gauges, and by the venue's ledger."""
        core, ledger = self.trader.core(), self.ledger()
        shares = core.get("position_up", -1) + core.get("position_down", 0)
        return (shares, core.get("cash_micros", -1)), (ledger.shares(), ledger.cash())

    def _end_halts(self) -> None:
        for each in self.halts:
            each[1] = each[1] or time.time_ns() // MS


@contextlib.contextmanager
def stage(
    folder: Path,
    root: Path,
    rng: random.Random,
    *,
    strategy: str,
    limit_usd: int,
    scenario: str,
    env: dict[str, str],
) -> Iterator[Stage]:
    """Set a stage and clear it away again. scenario: `{door}` in it is where redirects lead to."""
    with contextlib.ExitStack() as stack:
        door = WrongDoor()
        stack.callback(door.close)
        file = folder / "scenario.toml"
        file.write_text(
            f"seed = {rng.randrange(1 << 30)}\nwaits = true\n"
            + scenario.replace("{door}", door.url)
        )
        seed = f"{rng.randrange(1 << 60):x}"
        venue = LiveVenue(
            folder / "truth.jsonl", "--scenario", str(file), "--seed", seed, "--eoa-only",
            "--rate-limits", "off", "--accounts", "3",
        )  # fmt: skip
        stack.callback(venue.close)
        stack.callback(_wake, int(venue.ready["pid"]))
        proxy = Proxy(int(str(venue.ready["rest"]).rpartition(":")[2]))
        stack.callback(proxy.close)
        passphrase = "siege-mark-" + secrets.token_hex(12)
        import_key(folder / "keys", venue.accounts[0], passphrase)
        config = write_config(folder, proxy.port, strategy, limit_usd, "")
        trader = Trader(
            config,
            folder,
            venue.accounts[0]["funder"],
            passphrase,
            {"HALFTICK_RUNTIME_DIR": str(root), **env},
        )
        made = Stage(folder, rng, venue, proxy, door, trader, passphrase)
        try:
            yield made
        finally:
            if made.crowd is not None:
                made.crowd.stop()
            trader.signal("all", signal.SIGCONT)
            trader.kill_all(trader.pids())


def _wake(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
