"""The processes of one run with all they share: runtime directory, run file, rings, the account.

The fleet knows how to bring things up and hand them out; what to do when something goes wrong is
`engine.host.supervisor`'s, the order of the stop `engine.host.shutdown`'s.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.bus.ring import QueueWriter, create_ring
from engine.host import pin, plan, rundir
from engine.host.clock import Clock
from engine.host.config.schema import Settings
from engine.host.errors import HostError, RefuseError
from engine.host.locks import FileLock
from engine.host.plan import Part, Role, Secret
from engine.host.processes import Child
from engine.host.runfile import RunFile
from engine.host.secrets import Account, SealedKey, account_of
from engine.host.statedir import claim_state
from engine.host.wallet_lock import claim_wallet
from engine.wire.codes import Kind, Reason, Source
from engine.wire.records import new, words


@dataclass(frozen=True, slots=True)
class ExchangePlan:
    """The local exchange that is this run's venue.

    arguments: for `python -m engine.exchange`.  serves_market_data: whether it also plays the
    market (recorded), or only takes the orders while the market is the real one (mirror).
    command: another program that prints such a ready line, in tests.
    """

    arguments: tuple[str, ...] = ()
    serves_market_data: bool = False
    command: tuple[str, ...] = ()

    def part(self) -> Part:
        """Return it as a process of the run."""
        command = self.command or plan.python_command("-m", "engine.exchange")
        return Part("exchange", Role.EXCHANGE, (*command, *self.arguments))


class Fleet:
    """One run's processes, by name, and what they share. Used by the main thread alone."""

    def __init__(
        self, settings: Settings, account: Account | None, sealed: SealedKey | None = None
    ) -> None:
        """Nothing is made yet.

        account: who trades; in live mode without its key.  sealed: live, what the signer opens.
        """
        if settings.run.mode == "live" and (
            sealed is None or account is None or account.private_key is not None
        ):
            raise RefuseError("live mode takes its key out of a keystore, and the signer opens it")
        self.settings = settings
        self.account = account
        self._sealed = sealed
        self.clock = Clock.anchored()
        self.children: dict[str, Child] = {}
        self.state_dir = Path(settings.run.directory).absolute()
        self.run_id = self.clock.now_ns()
        self._installation = plan.installation()
        self._directory: rundir.RunDirectory | None = None
        self._locks: list[FileLock] = []
        self._control: QueueWriter | None = None

    @property
    def runtime_dir(self) -> Path:
        """Where the run file, the rings and the counters are."""
        return rundir.runtime_dir(self.settings.run.name)

    def claim(self) -> tuple[str, ...]:
        """Take the runtime directory and the state directory.

        Returns the names of a dead run's leftovers, which were removed. RefuseError if another run
        has one of them or a directory cannot be made.
        """
        self._directory = rundir.RunDirectory.acquire(self.runtime_dir)
        self._locks.append(claim_state(self.state_dir, self.settings.run.name))
        return self._directory.leftovers

    def claim_wallet(self) -> None:
        """Take the wallet we trade with; RefuseError if another run has it."""
        if self.account is not None:
            run, rest_url = self.settings.run.name, self.settings.venue.rest_url
            root = rundir.runtime_root()
            self._locks.append(claim_wallet(root, self.account.funder, rest_url, run))

    @property
    def is_in_place(self) -> bool:
        """Whether the runtime directory is still where others look for it."""
        return self._directory is not None and self._directory.is_in_place

    def join_exchange(self, ready: dict[str, Any], *, serves_market_data: bool) -> None:
        """Make the exchange of this ready line the venue, and its first account ours if none is.

        One that serves the market data also says which markets there are.

        HostError when the line lacks an address.
        """
        try:
            urls = {"rest_url": ready["rest"], "user_ws_url": ready["user_ws"]}
            if serves_market_data:
                urls |= {"market_ws_url": ready["market_ws"], "gamma_url": ready["gamma"]}
            if self.account is None:
                self.account = account_of(ready["accounts"][0])
        except (KeyError, IndexError, TypeError) as error:
            raise HostError(f"ready line of the exchange is not complete: lacks {error}") from None
        settings = self.settings.to_json()
        settings["venue"] |= urls
        if serves_market_data and "markets" in ready:
            slugs = [market["slug"] for market in ready["markets"]]
            settings["markets"] = {"slugs": slugs, "series_ids": []}
        self.settings = Settings.from_json(settings)
        self._write_run_file()

    def lay_out(self) -> None:
        """Make the run file and the rings; from here on `tell_core` works."""
        run = self._write_run_file()
        memory = plan.ring_memory(self.settings)
        for ring in plan.rings_of(self.settings):
            create_ring(run.ring(ring.name), ring.discipline, ring.capacity, run.run_id, memory)
        self._control = QueueWriter(run.ring("control"), run.run_id)

    def _write_run_file(self) -> RunFile:
        run = RunFile(
            run_id=self.run_id,
            clock_offset_ns=self.clock.offset_ns,
            settings=self.settings.to_json(),
            state_dir=str(self.state_dir),
            supervisor_pid=os.getpid(),
            runtime_dir=self.runtime_dir,
        )
        run.save()
        return run

    def parts(self) -> list[Part]:
        """Return the processes of this run in start order, the exchange not among them."""
        return plan.parts_of(self.settings, self.runtime_dir, pin.cores())

    def spawn(self, part: Part) -> Child:
        """Start a process, in place of its former self if there was one."""
        account, sealed = None, None
        if part.secret is not Secret.NONE:
            if self.account is None:
                raise RefuseError(f"an account is needed: process={part.name}")
            is_signer = part.secret is Secret.KEY
            account = self.account if is_signer else self.account.without_key()
            if is_signer:
                # The passphrase can be read once, so a live signer can be started once.
                sealed, self._sealed = self._sealed, None
        former = self.children.get(part.name)
        if former is not None:
            former.close()
        child = Child(
            part,
            counters=self.runtime_dir / f"{part.name}.counters",
            output=self.state_dir / "log" / f"{part.name}.out",
            installation=self._installation,
            account=account,
            sealed=sealed,
            reads_stdout=part.role is Role.EXCHANGE,
        )
        self.children[part.name] = child
        return child

    def of(self, role: Role) -> list[Child]:
        """Return the processes of a role, ended ones included."""
        return [child for child in self.children.values() if child.part.role is role]

    def one(self, role: Role) -> Child | None:
        """Return the process of a role that has one at most; None if it has none."""
        found = self.of(role)
        return found[0] if found else None

    def tell_core(self, reason: Reason, *, is_engaged: bool) -> bool:
        """Put a HALT record into the control ring; return whether it went in."""
        if self._control is None or not self._control.is_whole:
            return False
        record = new(Kind.HALT)
        record["source"] = Source.SUPERVISOR
        record["local_ns"] = self.clock.now_ns()
        record["reason"] = reason
        record["engaged"] = is_engaged
        return self._control.offer(words(record))

    def remove(self) -> None:
        """Kill what still lives, and leave no process, ring or directory; safe to repeat."""
        for child in self.children.values():
            child.kill()
            child.wait(time.monotonic() + 5.0)
            child.close()
        if self._sealed is not None:  # nobody came to read it
            os.close(self._sealed.passphrase_fd)
            self._sealed = None
        if self._control is not None:
            self._control.close()
            self._control = None
        while self._locks:
            self._locks.pop().remove()
        if self._directory is not None:
            self._directory.remove()
            self._directory = None
