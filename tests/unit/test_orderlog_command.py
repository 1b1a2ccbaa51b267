"""`halftick orderlog`: what its exit codes say of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.main import call
from engine.host.errors import Exit
from signer.log_format import Entry, EntryKind, header, pack

COMMANDS = [["verify"], ["verify", "--json"], ["dump"], ["dump", "--json"]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A whole order log of three entries."""
    path = tmp_path / "orders.log"
    entries = [
        Entry(EntryKind.SIGNED, 0, 3, 7, number, 1_000, bytes(32), body=b"{}")
        for number in (1, 2, 3)
    ]
    packed = (pack(number, entry) for number, entry in enumerate(entries, 1))
    path.write_bytes(header() + b"".join(packed))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_whole_log_and_a_torn_one_are_clean(log: Path, command: list[str]) -> None:
    """A crash may tear the last entry, and the next start cuts it off: both are 0."""
    assert call(["orderlog", *command, str(log)]) == Exit.CLEAN
    log.write_bytes(log.read_bytes()[:-1])
    assert call(["orderlog", *command, str(log)]) == Exit.CLEAN


@pytest.mark.parametrize("command", COMMANDS)
def test_damage_in_the_middle_is_found(
    log: Path, command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """No crash explains it: 1, and the offset is said."""
    data = bytearray(log.read_bytes())
    data[len(header()) + 8] ^= 1
    log.write_bytes(data)
    assert call(["orderlog", *command, str(log)]) == Exit.DIRTY
    said = capfd.readouterr()
    assert f"damaged in the middle: file={log}, offset=32" in said.out + said.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "content",
    [None, b"HALFTAPE" + bytes(100), header()[:8] + b"\7" * 92],
    ids=["absent", "a tape", "another version"],
)
def test_what_is_no_log_is_refused(
    log: Path, command: list[str], content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Absent, another kind of file, another version: 78, and the file is named on stderr."""
    log.unlink()
    if content is not None:
        log.write_bytes(content)
    assert call(["orderlog", *command, str(log)]) == Exit.REFUSED
    assert f"file={log}" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["verify", "dump"])
def test_help_says_the_exit_codes(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever scripts it finds all three there."""
    assert call(["orderlog", command, "--help"]) == Exit.CLEAN
    said = " ".join(capfd.readouterr().out.split())
    assert "Exit code 0" in said
    assert "1 damaged" in said
    assert "78 " in said
