"""Everything the checker judges a round by: files that processes left, figures a round took."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from siege.ledger import Ledger
from siege.order_log import Entry
from siege.tape import Tape


@dataclass(frozen=True)
class Quiet:
    """The core's own figures at a quiet moment, and the venue's: micro-shares and pUSD micros."""

    when: str
    core_shares: int
    venue_shares: int
    core_cash: int
    venue_cash: int


@dataclass(frozen=True)
class Stop:
    """The end of a run. alive: hashes still open at the venue then, the run's own."""

    when: str
    exit_code: int
    alive: frozenset[str]


@dataclass
class Evidence:
    """One round. halts_ms: wall clock of each halt command. unknown_s: how long after the venue was
    well the last order was unknown; None = it never ended.
    """

    ledger: Ledger
    log: list[Entry] = field(default_factory=list)
    tapes: list[Tape] = field(default_factory=list)
    limit_micros: int = 0
    halts_ms: list[int] = field(default_factory=list)
    halted_orders_ms: list[int] = field(default_factory=list)  # receive times while halted
    quiets: list[Quiet] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    unknown_s: float | None = 0.0
    reads_back: bool = True  # whether the last run had the time to read everything back
    redirected: int = 0  # requests at the listener that must never get one
    outputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)

    def add_outputs(self, folder: Path) -> None:
        """Take every .out file below a folder."""
        for file in sorted(folder.rglob("*.out")):
            self.outputs[str(file.relative_to(folder))] = file.read_text(errors="replace")

    def add_files(self, folder: Path, name: str) -> None:
        """Take every file below a folder, as far as it can be read."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                try:
                    self.files[f"{name}/{file.relative_to(folder)}"] = file.read_bytes()
                except OSError:  # it went while we looked
                    continue
