"""`halftick orderlog …`: what the signer signed, read back and checked.

Exit codes are those of `halftick tape`: 1 where a log is damaged, 78 for a file that is none.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from engine.host.errors import Exit, HostError, RefuseError
from engine.host.log import iso_time
from engine.wire.codes import Reason
from signer.log_format import HEADER, EntryKind, LogError, Placed, Scan, scan

LogArgument = Annotated[Path, typer.Argument(help="an order log, such as runs/demo/orders.log")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_REASONS = {reason.value: reason.name for reason in Reason}


def orderlog_app() -> typer.Typer:
    """Return the commands of `halftick orderlog`."""
    app = typer.Typer(help="Look into an order log.", no_args_is_help=True, add_completion=False)
    app.command()(verify)
    app.command()(dump)
    return app


def verify(log: LogArgument, as_json: JsonOption = False) -> None:
    """Check every entry's checksum and sequence.

    Exit code 0 whole (a last entry may be torn), 1 damaged, 78 no order log or not readable.
    """
    damage = ""
    found = Scan([], 0, 0)
    data = _read(log)
    try:
        found = scan(data, str(log))
    except LogError as error:
        damage = str(error)
    kinds = Counter(EntryKind(placed.entry.kind).name for placed in found.entries)
    about = {
        "orderlog": str(log),
        "whole": not damage,
        "entries": len(found.entries),
        "kinds": dict(sorted(kinds.items())),
        "unfinished": _unfinished(found.entries),
        "torn_bytes": found.torn_bytes,
        "damage": damage,
    }
    if as_json:
        _print_json(about)
    else:
        _print_verdict(about)
    if damage:
        raise typer.Exit(Exit.DIRTY)


def dump(log: LogArgument, as_json: JsonOption = False) -> None:
    """Print every entry, one a line; with --json the exact body bytes too.

    Exit code 0 all printed, 1 damaged and so nothing printed, 78 no order log or not readable.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    data = _read(log)
    try:
        entries = scan(data, str(log)).entries
    except LogError as error:
        raise HostError(str(error)) from None
    try:
        for placed in entries:
            entry = _describe(placed)
            if as_json:
                _print_json(entry)
            else:
                entry.pop("body", None)
                console.print("  ".join(f"{name}={value}" for name, value in entry.items()))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has seen enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read(log: Path) -> bytes:
    """Return a log's bytes. Raises RefuseError where they cannot be read or are no order log's."""
    try:
        data = log.read_bytes()
    except OSError as error:
        raise RefuseError(f"order log cannot be read: file={log}, {error.strerror}") from None
    scan(data[: HEADER.size], str(log))  # of a header alone: what is wrong after it is damage
    return data


def _unfinished(entries: list[Placed]) -> int:
    """Return how many orders were signed and have no outcome: they may have been sent."""
    last = {placed.entry.order_hash: placed.entry.kind for placed in entries}
    return sum(kind in (EntryKind.SIGNED, EntryKind.UNKNOWN) for kind in last.values())


def _describe(placed: Placed) -> dict[str, Any]:
    entry = placed.entry
    about: dict[str, Any] = {
        "offset": placed.offset,
        "sequence": placed.sequence,
        "kind": EntryKind(entry.kind).name,
        "at": iso_time(entry.time_ns),
        "run_id": f"{entry.run_id:016x}",
        "order_id": entry.order_id,
        "attempt": entry.attempt,
        "instrument": entry.instrument,
        "order_hash": f"0x{entry.order_hash.hex()}",
    }
    if entry.kind in (EntryKind.REJECTED, EntryKind.UNKNOWN, EntryKind.DONE):
        about["reason"] = _REASONS.get(entry.reason, entry.reason)
    if entry.strategy_key:
        about["strategy_key"] = f"{entry.strategy_key:08x}"
    if entry.http_status:
        about["http_status"] = entry.http_status
    if entry.kind in (EntryKind.ACKED, EntryKind.DONE) and entry.matched >= 0:
        about["matched_micros"] = entry.matched
    if entry.body:
        about["body"] = entry.body.decode("utf-8", "replace")
    return about


def _print_verdict(about: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if about["damage"]:
        console.print("[bold red]damaged[/]", about["damage"], markup=True)
        return
    kinds = ", ".join(f"{count:,} {name}" for name, count in about["kinds"].items())
    console.print(f"[bold green]whole[/]   {about['entries']:,} entries" + (kinds and f": {kinds}"))
    if about["unfinished"]:
        console.print(f"[yellow]open[/]    {about['unfinished']:,} orders have no outcome")
    if about["torn_bytes"]:
        console.print(f"[yellow]torn[/]    {about['torn_bytes']} bytes of an unfinished entry")


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
