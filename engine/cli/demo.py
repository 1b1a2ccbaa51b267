"""`halftick demo`: recorded BTC 15-minute markets through the real process graph, then a report."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
import urllib.request
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from engine.backoffice.live import LiveState, LiveView, final_tables
from engine.backoffice.report import write_report
from engine.backoffice.summary import Summary, summarize
from engine.cli.cancel import cancel_all
from engine.host.config.load import load_settings
from engine.host.config.schema import Settings
from engine.host.errors import Exit, HostError, RefuseError
from engine.host.events import Event
from engine.host.fleet import ExchangePlan
from engine.host.statedir import refuse_used_state
from engine.host.supervisor import Supervisor

CONFIG = "demo.toml"
LEFT_BY_A_RUN = (
    "tape.ht", "orders.log", "truth.jsonl", "report.html", "observed.json", "halt.json", "log",
)  # fmt: skip
POLL_S = 0.05
SETTLE_S_MAX = 20.0  # for the last fills and resolutions to arrive after the last snapshot
DISCOVER_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says."""

    speed: float
    markets: int
    directory: Path
    profile: str
    balance_usd: int


def demo(
    speed: Annotated[float, typer.Option(help="Venue seconds a real second.")] = 300.0,
    markets: Annotated[int, typer.Option(min=1, max=18, help="How many of the 18 to play.")] = 18,
    directory: Annotated[Path, typer.Option(help="Where tape and report go.")] = Path("runs/demo"),
    profile: Annotated[str, typer.Option(help="shared, pipeline or fused.")] = "shared",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Play recorded markets through every process and report what happened.

    A local exchange serves the recording over the venue's own protocol; feeds, core, signer and
    recorder trade on it as they would live. Exit code 0: clean; 1: something died or differed;
    78: refused to start.
    """
    console = Console(stderr=True, quiet=as_json)
    choices = Choices(speed, markets, directory, profile, balance_usd=5_000)
    try:
        exit_code = _play(choices, console)
        summary = summarize(directory / "tape.ht")
        report = directory / "report.html"
        write_report(summary, report)
    except HostError as error:
        print(f"halftick demo: {error}", file=sys.stderr)
        raise typer.Exit(int(error.exit_code)) from None
    if as_json:
        print(json.dumps(summary.to_json(report) | {"exit_code": int(exit_code)}))
    else:
        _show(summary, report)
    raise typer.Exit(int(exit_code))


def _play(choices: Choices, console: Console) -> Exit:
    """Run the whole demo; return how it ended."""
    _make_room(choices.directory)
    exchange = ExchangePlan(
        (
            "--mode", "recorded", "--recording", "resolvedkit", "--hold", "--ready-json",
            "--port", "0", "--speed", str(choices.speed), "--markets", str(choices.markets),
            "--balance-usd", str(choices.balance_usd),
            "--rate-limits", "off",  # they are in real seconds, and those are shorter here
            "--truth", str((choices.directory / "truth.jsonl").absolute()),
        ),
        serves_market_data=True,
    )  # fmt: skip
    with Supervisor(_settings(choices), exchange=exchange, cancel_all=cancel_all) as supervisor:
        _stop_on_signals(supervisor)
        with console.status("starting processes (the first time compiles the kernels)"):
            started = supervisor.start()
        if started:
            with LiveView(console, choices.markets) as view:
                _follow(supervisor, view, console)
    _print_events(supervisor.take_events(), console)
    return supervisor.exit_code


def _follow(supervisor: Supervisor, view: LiveView, console: Console) -> None:
    """Start the playback and show it until everything is played and settled, or it ends early."""
    ready = supervisor.exchange_ready
    instruments = 2 * len(ready["markets"])
    deadline_s = time.monotonic() + DISCOVER_S_MAX
    is_playing = False
    while supervisor.is_running and not supervisor.is_stop_requested:
        _print_events(supervisor.poll(), console)
        core = supervisor.counters("core")
        if not is_playing:
            if core.get("instruments", 0) >= instruments:
                _ask(ready["start"], post=True)
                is_playing = True
            elif time.monotonic() > deadline_s:
                raise HostError(f"markets were not discovered: within_s={DISCOVER_S_MAX:.0f}")
        elif (progress := _ask(ready["status"])) is not None:
            view.update(LiveState.of(progress, core))
            if not progress["done"]:
                deadline_s = time.monotonic() + SETTLE_S_MAX
            elif _is_settled(core) or time.monotonic() > deadline_s:
                return
        supervisor.wait(POLL_S)


def _is_settled(core: dict[str, int]) -> bool:
    """Whether the core has seen every market resolve and has nothing open."""
    return core.get("orders_open") == 0 and core.get("markets_open") == 0


def _settings(choices: Choices) -> Settings:
    """Return the demo's settings with what the command line changes."""
    path = files("engine.cli") / CONFIG
    settings = load_settings(Path(str(path))).to_json()
    settings["run"] |= {
        "directory": str(choices.directory.absolute()),
        "profile": choices.profile,
    }
    try:
        return Settings.from_json(settings)
    except ValueError as error:
        raise RefuseError(f"demo cannot be configured so: {error}") from None


def _make_room(directory: Path) -> None:
    """Remove what a former demo left in its directory; anything else there is left alone.

    RefuseError when a run is using it.
    """
    refuse_used_state(directory.absolute())
    for name in LEFT_BY_A_RUN:
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in directory.glob("halftick.db*"):
        path.unlink()
    directory.mkdir(parents=True, exist_ok=True)


def _stop_on_signals(supervisor: Supervisor) -> None:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        supervisor.request_stop()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def _ask(url: str, *, post: bool = False) -> dict[str, Any] | None:
    """Return the local exchange's answer, None if it does not answer."""
    request = urllib.request.Request(url, method="POST" if post else "GET")  # noqa: S310  loopback
    try:
        with urllib.request.urlopen(request, timeout=2.0) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):
        return None


def _print_events(events: list[Event], console: Console) -> None:
    """Print what a person should know; that processes start and stop is expected."""
    for event in events:
        if event.what not in ("started", "ready", "stopped", "cancelled"):
            line = f"{event.process} {event.what}: {event.detail}"
            console.print(line, style="yellow", highlight=False)


def _show(summary: Summary, report: Path) -> None:
    """Print the tables and where the report and the proof are."""
    console = Console()
    for table in final_tables(summary):
        console.print(table, "")
    console.print(
        f"report  {report}\ntape    {summary.tape}\n"
        f"proof   halftick replay {summary.tape} --verify",
        highlight=False,
        soft_wrap=True,
    )
