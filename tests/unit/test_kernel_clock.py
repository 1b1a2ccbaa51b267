"""Is somebody keeping the clock true? What the kernel says, what the doctor and a live run say."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.cli import run as run_command
from engine.cli.live import Admission
from engine.cli.main import call
from engine.host.errors import Exit
from engine.host.kernel_clock import (
    STA_UNSYNC,
    TIME_ERROR,
    KernelClock,
    clock_of,
    read_kernel_clock,
)
from engine.host.secrets import Account, ApiCredentials, SealedKey
from engine.host.supervisor import Supervisor
from signer.doctor.findings import Level, obstacles
from signer.doctor.venue_checks import clock_kernel
from signer.preflight import Found

LIVE = Path(__file__).resolve().parents[2] / "ops" / "config" / "live.toml"
TIME_OK, TIME_INS = 0, 1
STA_PLL, STA_NANO = 0x0001, 0x2000
KEPT, LOST = KernelClock(True, 1_500), KernelClock(False, 16_000_000)


def test_the_kernel_answers_without_privileges() -> None:
    """The real call says something that can be: an error bound, and yes or no."""
    clock = read_kernel_clock()
    assert clock.is_synchronised in (True, False)
    assert 0 <= clock.error_us_max <= 16_000_000


@pytest.mark.parametrize(
    ("state", "status", "is_synchronised"),
    [
        (TIME_OK, STA_PLL | STA_NANO, True),
        (TIME_INS, STA_PLL, True),
        (TIME_OK, STA_PLL | STA_UNSYNC, False),
        (TIME_ERROR, STA_PLL, False),
        (TIME_ERROR, STA_UNSYNC, False),
    ],
)
def test_either_sign_is_enough(state: int, status: int, is_synchronised: bool) -> None:
    """A leap second to come is no fault; STA_UNSYNC is one, and so is TIME_ERROR."""
    assert clock_of(state, status, 7) == KernelClock(is_synchronised, 7)


@pytest.mark.parametrize(
    ("clock", "is_local", "level"),
    [
        (KEPT, False, Level.OK),
        (KEPT, True, Level.OK),
        (LOST, False, Level.FAIL),
        (LOST, True, Level.INFO),
    ],
)
def test_g4_live_is_not_begun_on_an_unsynchronised_clock(
    clock: KernelClock, is_local: bool, level: Level
) -> None:
    """For the venue's own market; an exchange on this machine keeps its own time."""
    (finding,) = clock_kernel(is_local, lambda: clock)
    assert (finding.id, finding.level) == ("clock.kernel", level)
    assert finding.facts["synchronised"] is clock.is_synchronised
    stands_in_the_way = finding in obstacles([finding])
    assert stands_in_the_way is (level is Level.FAIL)


@pytest.mark.parametrize(
    "error", [OSError("no adjtimex"), PermissionError(errno.EPERM, "not permitted")]
)
def test_g4_a_kernel_that_does_not_say_forbids_nothing(error: OSError) -> None:
    """Some sandboxes forbid the question: the check was not made, and it says why."""

    def read() -> KernelClock:
        raise error

    (finding,) = clock_kernel(False, read)
    assert finding.level is Level.NOT_CHECKED
    assert str(error.strerror or error) in finding.text
    assert finding.id not in {each.id for each in obstacles([finding])}


@pytest.mark.parametrize("level", [Level.OK, Level.WARN])
def test_a_live_run_begins_with_its_warnings(
    level: Level, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Among its first events is what a check has warned of; the run is admitted all the same."""
    found = Found("clock.skew", level, "so far and no farther")
    source, target = os.pipe()
    os.close(target)
    account = Account("0xaa", "0xaa", ApiCredentials("key", "c2VjcmV0", "pass"))
    admission = Admission(account, SealedKey(Path("hot.keystore"), source), (found,))
    monkeypatch.setattr(run_command, "admit", lambda *_: admission)
    monkeypatch.setattr(Supervisor, "start", lambda _: False)  # a stop was asked meanwhile
    assert call(["run", "--config", str(LIVE), "--live"]) == Exit.CLEAN
    said = capfd.readouterr().out
    assert ("warned       clock.skew: so far" in said) is (level is Level.WARN)
    assert "admitted" in said
