"""`halftick run`: the daemon of one configuration, until it is told to stop.

Paper mode starts the local exchange as the venue of our orders; it mirrors the real books, which
the feeds read at the configured URLs. Live mode trades at those URLs, once `engine.cli.live` has
admitted it.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import msgspec
import typer

from engine.cli.cancel import cancel_all
from engine.cli.live import Consent, admit, refuse_stray
from engine.host import rundir
from engine.host.config.load import load_settings
from engine.host.config.schema import Settings
from engine.host.errors import RefuseError
from engine.host.events import Event
from engine.host.fleet import ExchangePlan
from engine.host.log import iso_time
from engine.host.reach import unreachable_urls
from engine.host.status import read_status
from engine.host.supervisor import Supervisor
from signer.doctor.findings import Level

POLL_S = 0.05
REACH_S = 10.0  # how often an unreachable venue is mentioned
REACH_FIRST_S = 2.0


Say = Callable[[Event], None]


def run(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="A TOML file: ops/config/paper.toml, live.toml.")
    ],
    live: Annotated[
        bool, typer.Option("--live", help='Trade real money; the configuration says mode="live".')
    ] = False,
    confirm_wallet: Annotated[
        str, typer.Option(help="Live: the address of the wallet that pays. Asked for if absent.")
    ] = "",
    passphrase_fd: Annotated[
        int | None,
        typer.Option(min=0, help="Live: read the keystore's passphrase from this descriptor."),
    ] = None,
    accept_fused: Annotated[
        bool,
        typer.Option("--accept-fused", help="Live: the key may lie in the process of the feeds."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> None:
    """Run until SIGINT, SIGTERM or `halftick stop`; then cancel everything and leave nothing.

    A second SIGINT hurries. Live trading takes mode = "live" and a key in the configuration, and
    --live and the wallet's address here; the passphrase comes from the terminal, a descriptor or a
    systemd credential. Exit code 0: stopped clean; 1: something died or was left unverified; 78:
    refused to start, each check that did not pass on its own line.
    """
    settings = load_settings(config)
    consent = Consent(live, confirm_wallet, accept_fused)
    say = _say_json if as_json else _say
    if settings.run.mode == "live":
        supervisor = _live(settings, consent, passphrase_fd, say)
    else:
        refuse_stray(consent)
        exchange = _mirror(settings)
        supervisor = Supervisor(settings, exchange=exchange, cancel_all=cancel_all, listener=say)
    with _stop_signals(supervisor), supervisor:
        if supervisor.start():
            _watch(supervisor, say)
        supervisor.stop()
    raise typer.Exit(int(supervisor.exit_code))


def _live(settings: Settings, consent: Consent, passphrase_fd: int | None, say: Say) -> Supervisor:
    """Return the supervisor of a run that was admitted to the venue itself."""
    admission = admit(settings, consent, passphrase_fd)
    supervisor = Supervisor(
        settings,
        account=admission.account,
        sealed=admission.sealed,
        cancel_all=cancel_all,
        listener=say,
    )
    now_ns = supervisor.fleet.clock.now_ns()
    for finding in admission.findings:
        if finding.level == Level.WARN:
            say(Event(now_ns, "preflight", "warned", f"{finding.id}: {finding.text}"))
    passed = sum(finding.level == Level.OK for finding in admission.findings)
    detail = f"wallet={admission.account.funder}, checks_ok={passed}"
    say(Event(now_ns, "preflight", "admitted", detail))
    return supervisor


def _mirror(settings: Settings) -> ExchangePlan:
    """Return the local exchange that takes our orders and reads the books from our own ring."""
    groups = [name for name, group in settings.feeds.items() if "clob_market" in group.feeds]
    if not groups:
        raise RefuseError("paper mode needs the books: no feed group has the feed clob_market")
    ring = rundir.runtime_dir(settings.run.name) / f"md.{groups[0]}.ring"
    state_dir = Path(settings.run.directory).absolute()
    seed = ("--seed", settings.exchange.seed) if settings.exchange.seed else ()
    return ExchangePlan(
        (
            *("--mode", "mirror", "--ring", str(ring), "--port", "0", "--ready-json"),
            *("--balance-usd", str(settings.exchange.balance_usd)),
            *("--taker-delay-ms", str(settings.exchange.taker_delay_ms)),
            *("--chain-id", str(settings.venue.chain_id)),
            *("--truth", str(state_dir / "truth.jsonl")),
            *seed,
        )
    )


def _watch(supervisor: Supervisor, say: Say) -> None:
    """Poll the run until somebody asks for its end or it gives up."""
    reach_due_s = time.monotonic() + REACH_FIRST_S
    while supervisor.is_running and not supervisor.is_stop_requested:
        supervisor.poll()
        if time.monotonic() >= reach_due_s:
            reach_due_s = time.monotonic() + REACH_S
            for event in _reach_events(supervisor):
                say(event)
        supervisor.wait(POLL_S)


def _reach_events(supervisor: Supervisor) -> list[Event]:
    """Return an event for each URL of the venue that the feeds cannot reach."""
    now_ns = supervisor.fleet.clock.now_ns()
    with contextlib.suppress(RefuseError):
        urls = unreachable_urls(read_status(supervisor.fleet.runtime_dir))
        detail = "retrying with backoff; nothing is traded without it"
        return [Event(now_ns, "venue", "unreachable", f"{url}: {detail}") for url in urls]
    return []


def _say(event: Event) -> None:
    at = iso_time(event.time_ns)[11:23]
    print(f"{at}  {event.process:<14} {event.what:<12} {event.detail}".rstrip(), flush=True)


def _say_json(event: Event) -> None:
    print(msgspec.json.encode(event).decode(), flush=True)


@contextlib.contextmanager
def _stop_signals(supervisor: Supervisor) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP ask for the stop."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        supervisor.request_stop()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
