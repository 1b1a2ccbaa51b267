"""One round: a stage is set, a kind of fault is played, all calms down, the checker judges."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from siege import disks
from siege.checker import check
from siege.evidence import Evidence
from siege.kinds import Kind
from siege.order_log import read_order_log
from siege.stage import Stage, stage
from siege.tape import read_tape

MICROS = 1_000_000


@dataclass(frozen=True)
class Result:
    """What came of a round. late_ms: of each order that followed a halt, how late."""

    number: int
    kind: str
    seconds: float
    violations: list[tuple[str, str]]
    orders: int = 0
    fills: int = 0
    starts: int = 0
    halts: int = 0
    late_ms: list[int] = field(default_factory=list)
    unknown_s: float | None = 0.0
    note: str = ""


def play(kind: Kind, seed: str, number: int, keep: Path | None = None) -> Result:
    """Play a round and return its result. keep: an empty folder that stays."""
    began_s = time.monotonic()
    rng = random.Random(f"{seed}/{number}")
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ht", dir="/dev/shm")))
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siege")))
        env: dict[str, str] = {}
        if kind.is_slow_disk:
            try:
                env = disks.slow_disk_env(folder)
            except RuntimeError as error:
                return Result(number, kind.name, 0.0, [], note=f"SKIPPED: {error}")
        if kind.is_small_disk:
            if not disks.mount_small(folder / "state"):
                return Result(number, kind.name, 0.0, [], note="SKIPPED: may not mount a disk")
            stack.callback(disks.unmount, folder / "state")
        played = stack.enter_context(
            stage(
                folder,
                root / "r",
                rng,
                strategy=kind.strategy,
                limit_usd=kind.limit_usd,
                scenario=kind.scenario(rng),
                env=env,
            )
        )
        played.begin()
        kind.drive(played)
        played.proxy.heal()
        played.up()
        played.calm("end")
        played.stop("end")
        seen = evidence(played, kind)
        own = seen.ledger.own_orders()
        return Result(
            number,
            kind.name,
            round(time.monotonic() - began_s, 1),
            check(seen),
            orders=len(own),
            fills=len(seen.ledger.of("fill")),
            starts=played.trader.count,
            halts=len(seen.halts_ms),
            late_ms=seen.halted_orders_ms,
            unknown_s=seen.unknown_s,
            note=f"starts failed: {played.starts_failed}" if played.starts_failed else "",
        )


def evidence(played: Stage, kind: Kind) -> Evidence:
    """Return what is left of a round that is over."""
    ledger = played.ledger()
    late_ms = [
        row["ts"] - halt_ms
        for halt_ms, end_ms in played.halts
        for row in ledger.own_orders()
        if halt_ms < row["ts"] < end_ms
    ]
    account = played.account
    api: dict[str, str] = account["api"]  # type: ignore[assignment]
    seen = Evidence(
        ledger,
        read_order_log(played.state / "orders.log"),
        [read_tape(file) for file in sorted(played.state.glob("tape*.ht"))],
        kind.limit_usd * MICROS,
        halts_ms=[halt_ms for halt_ms, _ in played.halts],
        halted_orders_ms=late_ms,
        quiets=played.quiets,
        stops=played.stops,
        unknown_s=played.unknown_s,
        redirected=played.door.requests,
        secrets={
            "private key": account["private_key"].removeprefix("0x").encode(),
            "API secret": api["secret"].encode(),
            "API passphrase": api["passphrase"].encode(),
            "keystore passphrase": played.passphrase.encode(),
        },
    )
    seen.add_outputs(played.folder)
    seen.add_files(played.state, "state")
    return seen
