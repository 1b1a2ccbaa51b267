"""A signer that dies with orders open at a venue: the supervisor cancels them, and has evidence."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from cancel_venue import Venue
from toys import ACCOUNT, runtime_root, toy_settings, wait_for

from engine.cli.cancel import cancel_all
from engine.host.config.schema import Settings
from engine.host.events import Event
from engine.host.supervisor import Supervisor

__all__ = ["runtime_root"]
pytestmark = pytest.mark.usefixtures("runtime_root")


def killed_signer(state_dir: Path, venue: Venue, **host: int) -> list[Event]:
    """Run toys at a venue, kill the signer, and return everything the supervisor said."""
    settings = toy_settings(state_dir, **host).to_json()
    settings["venue"]["rest_url"] = venue.url
    events: list[Event] = []
    supervisor = Supervisor(
        Settings.from_json(settings), account=ACCOUNT, cancel_all=cancel_all, listener=events.append
    )
    with supervisor:
        assert supervisor.start()
        os.kill(supervisor.fleet.children["signer"].pid, signal.SIGKILL)

        def is_over() -> bool:
            supervisor.poll()
            return not supervisor.is_running

        wait_for(is_over, "the run gives up")
    return events


def test_a_dead_signers_orders_are_cancelled_and_seen_to_be(tmp_path: Path) -> None:
    """None is open at the venue afterwards; that is said once, and nothing is called unverified."""
    with Venue.serving() as venue:
        events = killed_signer(tmp_path, venue)
        assert venue.open == set()
    said = [event.what for event in events if event.process == "run"]
    assert said == ["halted", "cancelling", "cancelled"]


def test_a_venue_that_only_says_ok_is_not_believed(tmp_path: Path) -> None:
    """After cancel_ms_max the run ends unverified and names the three orders."""
    with Venue.serving() as venue:
        venue.does_cancel, venue.answer = False, {"canceled": [], "not_canceled": {}}
        events = killed_signer(tmp_path, venue, cancel_ms_max=1_000)
    (told,) = [event.detail for event in events if event.what == "unverified"]
    assert "0x01, 0x02, 0x03" in told
    assert not any(event.what == "cancelled" for event in events)
