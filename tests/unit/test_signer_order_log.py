"""The order log: what survives, what is cut, what is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from deadlines import wait_until
from typer.testing import CliRunner

from engine.cli.orderlog import orderlog_app
from engine.host.errors import Exit, RefuseError
from engine.wire.codes import Reason, Side, Tif
from signer.log_format import HEADER, Entry, EntryKind, LogError, Packer, header, pack, scan
from signer.order_log import OrderLog
from signer.orders import OrderState
from signer.recovery import TOLD_NS_MAX, recover

NOW_NS = 2_000

BODY = (
    b'{"order":{"salt":1,"makerAmount":"4800000","takerAmount":"10000000","side":"BUY"},'
    b'"orderType":"%b"}'
)


def signed(order_id: int, run_id: int = 7, order_type: bytes = b"GTC") -> Entry:
    """A SIGNED entry."""
    order_hash = order_id.to_bytes(32, "big")
    return Entry(1, 0, 3, run_id, order_id, 1_000, order_hash, body=BODY % order_type)


def outcome(kind: EntryKind, order_id: int, run_id: int = 7) -> Entry:
    """What became of it."""
    reason = Reason.CANCELED if kind is EntryKind.DONE else Reason.OK
    return Entry(kind, 0, 3, run_id, order_id, 2_000, order_id.to_bytes(32, "big"), reason)


def log_of(path: Path, *entries: Entry) -> Path:
    """A log file with these entries."""
    path.write_bytes(
        header() + b"".join(pack(number, entry) for number, entry in enumerate(entries, 1))
    )
    return path


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_appended_is_found_again(tmp_path: Path, strict: bool) -> None:
    """Entries come back whole and in order, and the next writer goes on after them."""
    path = tmp_path / "orders.log"
    for order_id in (1, 2):
        log = OrderLog(path, strict=strict)
        assert len(log.found) == 2 * (order_id - 1)
        assert log.append(signed(order_id))
        assert log.append(outcome(EntryKind.ACKED, order_id))
        log.close()
        log.close()
    entries = [placed.entry for placed in scan(path.read_bytes(), "x").entries]
    assert entries == [
        signed(1),
        outcome(EntryKind.ACKED, 1),
        signed(2),
        outcome(EntryKind.ACKED, 2),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_entry_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    """No buffer of ours stands between an append and the kernel."""
    log = OrderLog(tmp_path / "orders.log")
    log.append(signed(1))
    assert len(scan((tmp_path / "orders.log").read_bytes(), "x").entries) == 1
    log.close()


def test_a_torn_tail_is_cut_wherever_the_write_ended(tmp_path: Path) -> None:
    """Every prefix of the last entry is reported as torn, cut, and written over."""
    path = log_of(tmp_path / "orders.log", signed(1), signed(2))
    data = path.read_bytes()
    whole = len(header()) + len(pack(1, signed(1)))
    for end in range(whole, len(data)):
        path.write_bytes(data[:end])
        log = OrderLog(path, strict=True)
        assert (len(log.found), log.torn_bytes) == (1, end - whole)
        log.append(signed(3))
        log.close()
        assert [p.entry for p in scan(path.read_bytes(), "x").entries] == [signed(1), signed(3)]


def test_a_log_cut_inside_its_header_begins_anew(tmp_path: Path) -> None:
    """Nothing was signed yet: the file is made again."""
    path = tmp_path / "orders.log"
    path.write_bytes(header()[:10])
    log = OrderLog(path)
    assert (log.found, log.torn_bytes) == ([], 10)
    log.close()
    assert path.read_bytes() == header()


def test_damage_before_whole_entries_is_refused_at_every_byte(tmp_path: Path) -> None:
    """A changed byte that a crash cannot explain names its entry's offset and exits 78."""
    path = log_of(tmp_path / "orders.log", signed(1), signed(2), signed(3))
    data = path.read_bytes()
    second = len(header()) + len(pack(1, signed(1)))
    for at in range(second, second + len(pack(2, signed(2)))):
        damaged = bytearray(data)
        damaged[at] ^= 0x40
        with pytest.raises(LogError, match=f"damaged in the middle: file=x, offset={second},"):
            scan(bytes(damaged), "x")
    path.write_bytes(bytes(damaged))
    with pytest.raises(RefuseError) as caught:
        OrderLog(path)
    assert caught.value.exit_code == Exit.REFUSED


@pytest.mark.parametrize("content", [b"x" * 100, b"HALFTAPE" + b"\0" * 100, b"short"])
def test_another_file_is_not_an_order_log(content: bytes) -> None:
    """What does not begin as one is refused, never cut."""
    with pytest.raises(LogError, match="not an order log: file=other"):
        scan(content, "other")


def test_a_log_of_another_version_is_refused() -> None:
    """Guessing at a layout could hide an order."""
    with pytest.raises(LogError, match="another version: file=x, version=2"):
        scan(HEADER.pack(b"HALFORDR", 2), "x")


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """Two signers on one log would sign the same orders."""
    log = OrderLog(tmp_path / "orders.log")
    with pytest.raises(RefuseError, match="another signer"):
        OrderLog(tmp_path / "orders.log")
    log.close()


def test_a_disk_that_refuses_stops_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one failed or short write nothing is taken any more."""
    log = OrderLog(tmp_path / "orders.log", strict=True)
    monkeypatch.setattr(os, "write", lambda _fd, data: len(data) - 1)
    assert not log.append(signed(1))
    monkeypatch.undo()
    assert log.failed_errno == errno.ENOSPC
    assert not log.append(signed(2))
    log.close()


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_strict_log_says_which_error_its_disk_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """EIO of the write or of the sync: nothing more is taken, although the next call would work."""
    log = OrderLog(tmp_path / "orders.log", strict=True)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    assert not log.append(signed(1))
    monkeypatch.undo()
    assert log.failed_errno == errno.EIO
    assert not log.append(signed(2))
    log.close()


def test_a_strict_log_is_on_disk_when_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry is written, then synced, before append says that it is there."""
    log = OrderLog(tmp_path / "orders.log", strict=True)
    calls: list[str] = []
    write, sync = os.write, os.fdatasync
    monkeypatch.setattr(os, "write", lambda *a: calls.append("write") or write(*a))
    monkeypatch.setattr(os, "fdatasync", lambda fd: calls.append(f"sync {fd}") or sync(fd))
    for order_id in (1, 2):
        calls.clear()
        assert log.append(signed(order_id))
        assert calls == ["write", f"sync {log._descriptor}"]
    log.close()


def test_a_disk_that_cannot_be_read_refuses_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 78 with the file and the errno, and no traceback."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(
        RefuseError, match=r"order log cannot be used: file=.*orders\.log, errno=EIO"
    ):
        OrderLog(tmp_path / "orders.log")


def test_a_disk_that_cannot_sync_stops_the_log(tmp_path: Path) -> None:
    """The helper thread's failure is the log's: a pipe takes bytes and cannot be synced."""
    log = OrderLog(tmp_path / "orders.log")
    source, target = os.pipe()
    os.dup2(target, log._descriptor)
    assert log.append(signed(1))
    wait_until(lambda: log.failed_errno == errno.EINVAL, 30, "the log says why its disk failed")
    assert not log.append(signed(2))
    log.close()
    os.close(source)
    os.close(target)


def test_entries_of_all_lengths_are_packed_over_each_other() -> None:
    """A shorter entry keeps nothing of the longer one before it."""
    packer = Packer()
    entries = [signed(1)._replace(body=b"x" * size) for size in (900, 1, 65_536, 0, 7)]
    for sequence, entry in enumerate(entries, 1):
        assert bytes(packer.pack(sequence, entry)) == pack(sequence, entry)
    with pytest.raises(ValueError, match="different structures"):
        packer.pack(1, signed(1)._replace(body=b"x" * 65_537))


def test_recovery_knows_what_may_be_live(tmp_path: Path) -> None:
    """The last entry of an order tells its state; one that was matched at once is over."""
    entries = [
        *(signed(order_id) for order_id in range(1, 6)),
        signed(6, order_type=b"FOK"),
        outcome(EntryKind.ACKED, 2),
        outcome(EntryKind.REJECTED, 3),
        outcome(EntryKind.DONE, 4),
        outcome(EntryKind.UNKNOWN, 5),
        signed(7, order_type=b"FOK"),
        signed(8),
        outcome(EntryKind.ACKED, 6)._replace(matched=10_000_000),
        outcome(EntryKind.ACKED, 7),
        outcome(EntryKind.ACKED, 8)._replace(matched=10_000_000),
    ]
    path = log_of(tmp_path / "orders.log", *entries)
    recovered = recover(scan(path.read_bytes(), "x").entries, run_id=7, now_ns=NOW_NS)
    assert {order.order_id: order.state for order in recovered.orders} == {
        1: OrderState.UNKNOWN,
        2: OrderState.LIVE,
        3: OrderState.ENDED,
        4: OrderState.ENDED,
        5: OrderState.UNKNOWN,
        6: OrderState.ENDED,
        7: OrderState.LIVE,
        8: OrderState.ENDED,
    }
    assert {order.price for order in recovered.orders} == {480_000}
    assert not any(order.is_doomed for order in recovered.orders)


def test_an_order_of_an_earlier_run_has_nothing_left_but_its_end(tmp_path: Path) -> None:
    """It is taken on without its bytes and its instrument, doomed, whatever was known of it."""
    entries = [*(signed(order_id) for order_id in (1, 2, 3)), outcome(EntryKind.ACKED, 2)]
    path = log_of(tmp_path / "orders.log", *entries, outcome(EntryKind.DONE, 3))
    recovered = recover(scan(path.read_bytes(), "x").entries, run_id=8, now_ns=NOW_NS)
    first, second, third = recovered.orders
    for order in (first, second):
        assert order.is_doomed
        assert order.cancel_is_wanted
        assert (order.body, order.instrument, order.state) == (b"", 0, OrderState.LIVE)
    assert (first.is_known, second.is_known) == (False, True)
    assert third.state is OrderState.ENDED


def test_the_core_is_told_what_can_still_matter(tmp_path: Path) -> None:
    """Not what was refused at once, nor what ended long ago; what was in doubt once, always."""
    entries = [
        *(signed(order_id)._replace(strategy_key=order_id) for order_id in range(1, 7)),
        outcome(EntryKind.REJECTED, 2),
        outcome(EntryKind.UNKNOWN, 3),
        outcome(EntryKind.REJECTED, 3),
        outcome(EntryKind.DONE, 4),
        outcome(EntryKind.DONE, 5)._replace(time_ns=NOW_NS - TOLD_NS_MAX - 1),
        outcome(EntryKind.ACKED, 6),
    ]
    entries = [entry._replace(time_ns=entry.time_ns or NOW_NS) for entry in entries]
    path = log_of(tmp_path / "orders.log", *entries)
    for run_id in (7, 8):
        told = recover(scan(path.read_bytes(), "x").entries, run_id, NOW_NS).told
        assert [(one.order_id, one.is_open) for one in told] == [
            (1, True),
            (3, False),
            (4, False),
            (6, True),
        ]
        assert [one.strategy_key for one in told] == [1, 3, 4, 6]
        assert (told[0].price, told[0].size) == (480_000, 10_000_000)
        assert (told[0].side, told[0].tif) == (Side.BUY, Tif.GTC)


def test_an_order_alive_after_its_end_stays_doomed_over_a_restart(tmp_path: Path) -> None:
    """Its bytes are never sent again, not even by the run that signed them."""
    alive = outcome(EntryKind.UNKNOWN, 1)._replace(reason=Reason.REVIVED)
    path = log_of(tmp_path / "orders.log", signed(1), outcome(EntryKind.REJECTED, 1), alive)
    (order,) = recover(scan(path.read_bytes(), "x").entries, 7, NOW_NS).orders
    assert (order.is_doomed, order.body, order.released) == (True, b"", 0)


def test_orderlog_verify_and_dump_read_a_log(tmp_path: Path) -> None:
    """verify exits 0 for a whole log and 1 for a damaged one; dump prints each entry as JSON."""
    path = log_of(tmp_path / "orders.log", signed(1), outcome(EntryKind.DONE, 1), signed(2))
    run = CliRunner().invoke
    verified = run(orderlog_app(), ["verify", str(path), "--json"])
    assert verified.exit_code == 0
    assert '"entries":3,"kinds":{"DONE":1,"SIGNED":2},"unfinished":1' in verified.stdout
    assert run(orderlog_app(), ["verify", str(path)]).exit_code == 0
    lines = run(orderlog_app(), ["dump", str(path), "--json"]).stdout.splitlines()
    assert len(lines) == 3
    assert '"reason":"CANCELED"' in lines[1]
    assert "order_id=2" in run(orderlog_app(), ["dump", str(path)]).stdout
    damaged = bytearray(path.read_bytes())
    damaged[40] ^= 1
    path.write_bytes(bytes(damaged))
    result = run(orderlog_app(), ["verify", str(path)])
    assert result.exit_code == 1
    assert "offset=32" in result.stdout
