"""What the exchange is told on its command line: one definition, for `halftick exchange` too."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.exchange.fates import Fates
from engine.exchange.queue_model import QueueKind, QueueModel
from engine.exchange.recording import PACKAGE
from engine.exchange.rules import VenueRules
from engine.exchange.server.app import Hosting
from engine.exchange.server.limits import TIERS, Enforcement

POLYGON = 137


class Mode(StrEnum):
    """What drives the books."""

    RECORDED = "recorded"
    MIRROR = "mirror"
    CLOSED = "closed"
    AGENTS = "agents"


@dataclass(frozen=True, slots=True)
class Options:
    """Resolved options. Money in pUSD micros, times in venue ms.

    queue: None = resting orders are filled by the book alone.
    """

    mode: Mode
    recording: str
    speed: float
    markets_max: int | None
    hold: bool
    port: int
    ready_json: bool
    seed: str
    accounts: int
    balance: int
    truth: Path | None
    wallets: bool
    rules: VenueRules
    hosting: Hosting
    ring: Path | None
    run_id: int
    window_minutes: int
    queue: QueueModel | None
    scenario: Path | None


def parse_options(arguments: Sequence[str], program: str) -> Options:
    """Return the options; prints help or one line of usage error and exits as argparse does."""
    parser = _parser(program)
    got = parser.parse_args(arguments)
    if got.mode == "mirror" and got.ring is None:
        parser.error("--mode mirror needs --ring PATH")
    if got.chain_id != POLYGON and not got.eoa_only:
        parser.error("--chain-id 80002 has no proxy wallets: add --eoa-only")
    rules = VenueRules()
    # A heartbeat watches over a connection, which lives in real time whatever the venue's clock.
    pace = got.speed if got.mode in (Mode.RECORDED, Mode.AGENTS) else 1.0
    return Options(
        mode=Mode(got.mode),
        recording=got.recording,
        speed=got.speed,
        markets_max=got.markets,
        hold=got.hold,
        port=got.port,
        ready_json=got.ready_json,
        seed=got.seed if got.seed is not None else secrets.token_hex(16),
        accounts=got.accounts,
        balance=round(got.balance_usd * 1_000_000),
        truth=got.truth,
        rules=VenueRules(
            taker_delay_ms=got.taker_delay_ms,
            fates=Fates(mined_ms=got.mined_ms, confirmed_ms=got.confirmed_ms),
            heartbeat_ms=round(rules.heartbeat_ms * pace),
            heartbeat_sweep_ms=round(rules.heartbeat_sweep_ms * pace),
            eoa_accepted=not got.refuse_eoa,
            v1_accepted=got.accept_v1,
            pays_rebates=got.mode in (Mode.CLOSED, Mode.AGENTS),
        ),
        wallets=not got.eoa_only,
        hosting=Hosting(
            chain_id=got.chain_id, tier=got.tier, enforcement=Enforcement(got.rate_limits)
        ),
        ring=got.ring,
        run_id=got.run_id,
        window_minutes=got.window_minutes,
        queue=QueueModel(QueueKind(got.queue)) if got.queue else None,
        scenario=got.scenario,
    )


def _parser(program: str) -> argparse.ArgumentParser:
    rules = VenueRules()
    parser = argparse.ArgumentParser(
        prog=program,
        description="A local exchange on loopback that speaks the venue's protocol.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--mode", choices=[*Mode], default=Mode.RECORDED, help="what drives the books")
    add("--recording", default=PACKAGE, metavar="NAME|DIR", help="what to play")
    add("--speed", type=_positive, default=300.0, help="venue seconds a real second")
    add("--markets", type=_count, metavar="N", help="only the first N markets, or windows")
    add("--window-minutes", type=int, choices=(5, 15), default=15, help="closed, agents")
    add("--queue", choices=[*QueueKind], help="public trades fill resting orders, by this model")
    add("--hold", action="store_true", help="play only after POST /_exchange/start")
    add("--port", type=_port, default=0, help="0 = any free one")
    add("--ready-json", action="store_true", help="print one JSON line when ready")
    add("--seed", help="accounts, keys and trade ids follow from it; random if absent")
    add("--accounts", type=_count, default=1, metavar="N", help="funded test accounts")
    add("--balance-usd", type=_positive, default=10_000.0, help="pUSD of each account")
    add("--truth", type=Path, metavar="FILE", help="write the truth ledger there")
    add("--scenario", type=Path, metavar="FILE", help="what goes wrong: see exchange/scenario.py")
    add("--taker-delay-ms", type=_delay, default=rules.taker_delay_ms, help="venue ms")
    add("--mined-ms", type=_delay, default=rules.fates.mined_ms, help="match to MINED, venue ms")
    add("--confirmed-ms", type=_delay, default=rules.fates.confirmed_ms, help="match to CONFIRMED")
    add("--chain-id", type=int, choices=(POLYGON, 80002), default=POLYGON, help="of signatures")
    add("--eoa-only", action="store_true", help="no proxy, Safe and deposit wallet accounts")
    add("--refuse-eoa", action="store_true", help="as the venue does with new plain addresses")
    add("--accept-v1", action="store_true", help="take orders of generation 1, as it once did")
    add("--rate-limits", choices=[*Enforcement], default=Enforcement.WARN, help="of signers")
    add("--tier", choices=[*TIERS], default="standard", help="how much the limits allow")
    add("--ring", type=Path, metavar="PATH", help="mirror: the ring with the market data")
    add("--run-id", type=int, default=0, metavar="N", help="mirror: 0 = as run.json beside it")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e12:
        raise argparse.ArgumentTypeError(f"must be a positive number: {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 < value <= 10_000:
        raise argparse.ArgumentTypeError(f"must be between 1 and 10000: {text}")
    return value


def _delay(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 86_400_000:
        raise argparse.ArgumentTypeError(f"must be between 0 and a day: {text}")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65_536:
        raise argparse.ArgumentTypeError(f"must be between 0 and 65535: {text}")
    return value
