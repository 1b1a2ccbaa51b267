"""The small parts of the host: idling, secrets, the run file, the latch, error logs, the plan."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st

from engine.bus.control import Request, parse_request
from engine.host import pin, plan
from engine.host.clock import Clock
from engine.host.config.load import load_settings
from engine.host.errors import RefuseError
from engine.host.idle import LOOP_SLEEP_S, Idle, Wait
from engine.host.latch import HaltLatch
from engine.host.log import ERRORS_DISTINCT_MAX, ErrorLog, Log
from engine.host.runfile import RunFile
from engine.host.secrets import Account, ApiCredentials, read_secrets, send_secrets
from engine.wire.codes import Reason

CONFIG = Path(__file__).resolve().parents[2] / "ops" / "config" / "paper.toml"
ACCOUNT = Account("0xaa", "0xbb", ApiCredentials("key", "s3cret", "p4ss"), 0, "0xdeadbeef")


def test_clocks_of_one_offset_agree() -> None:
    """Two clocks of the same offset tell one time, and it never goes back."""
    one = Clock.anchored()
    other = Clock(one.offset_ns)
    times = [one.now_ns(), other.now_ns(), one.now_ns()]
    assert times == sorted(times)
    assert abs(one.drift_ns()) < 10**12


def test_idle_sleeps_only_after_patience() -> None:
    """A socket loop yields for its first idle rounds, then sleeps, and work wakes it."""
    clock = HandClock()
    clock.at_ns = 1
    idle = Idle.for_profile("shared", waits_on_sockets=True)
    idle.now_ns = clock.now_ns
    assert [idle.idle(0) for _ in range(1_000)] == [0.0] * 1_000
    clock.at_ns += idle.patience_us * 1_000
    assert (idle.idle(0), idle.is_patient) == (LOOP_SLEEP_S, True)
    assert (idle.idle(1), idle.is_patient) == (0.0, False)
    clock.at_ns += 1
    assert idle.idle(0) == 0.0


@pytest.mark.parametrize("profile", ["pipeline", "fused"])
def test_fast_profiles_never_sleep(profile: str) -> None:
    """Spinning and yielding loops never ask for sleep."""
    idle = Idle.for_profile(profile)
    assert idle.wait in (Wait.SPIN, Wait.YIELD)
    assert {idle.idle(0) for _ in range(1_000)} == {0.0}


def test_secrets_travel_and_do_not_show() -> None:
    """An account goes through a pipe whole, and no repr shows a secret of it."""
    assert read_secrets(send_secrets(ACCOUNT)) == ACCOUNT
    feeds_view = read_secrets(send_secrets(ACCOUNT.without_key()))
    assert feeds_view.private_key is None
    for secret in ("s3cret", "p4ss", "deadbeef"):
        assert secret not in repr(ACCOUNT)


@pytest.mark.parametrize("text", [b"", b"s3cret", b'{"address":"0xaa","api":{"key":"s3cret"}}'])
def test_unreadable_secrets_are_refused_unquoted(text: bytes) -> None:
    """A text that is no account is refused, and the refusal does not repeat it."""
    source, target = os.pipe()
    os.write(target, text)
    os.close(target)
    with pytest.raises(RefuseError) as caught:
        read_secrets(source)
    assert "s3cret" not in str(caught.value)


def test_run_file_comes_back(tmp_path: Path) -> None:
    """A run file that was saved is loaded as it was, and knows where its things are."""
    run = RunFile(7, -3, {"run": {"name": "a"}}, "runs/a", 9, runtime_dir=tmp_path)
    run.save()
    loaded = RunFile.load(tmp_path)
    assert loaded == run
    assert loaded.ring("tape") == tmp_path / "tape.ring"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run_id": "x"}', "\x00"])
def test_broken_run_file_is_refused(tmp_path: Path, text: str) -> None:
    """A run file that is not one is refused by name."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RefuseError, match=r"run\.json"):
        RunFile.load(tmp_path)


def test_unreadable_latch_is_a_halt(tmp_path: Path) -> None:
    """When in doubt, halted: a latch that cannot be read counts as engaged."""
    (tmp_path / "halt.json").write_bytes(b"\xff")
    halt = HaltLatch(tmp_path).read()
    assert halt is not None
    assert halt.code is Reason.HALT_OPERATOR


def test_same_error_is_one_entry(tmp_path: Path) -> None:
    """An error that comes a thousand times is one entry with a count."""
    path = tmp_path / "x.errors.json"
    errors = ErrorLog(path, Clock.anchored())
    for _ in range(1_000):
        errors.record("duty", ValueError("boom"))
    errors.write()
    (entry,) = json.loads(path.read_text())
    assert (entry["where"], entry["kind"], entry["count"]) == ("duty", "ValueError", 1_000)


def test_errors_are_bounded(tmp_path: Path) -> None:
    """Ever new errors share the last entry once the bound is reached."""
    path = tmp_path / "x.errors.json"
    errors = ErrorLog(path, Clock.anchored())
    for number in range(1_000):
        errors.record("duty", ValueError(str(number)))
    errors.write()
    entries = json.loads(path.read_text())
    assert len(entries) == ERRORS_DISTINCT_MAX
    assert sum(entry["count"] for entry in entries) == 1_000


def test_log_lines_are_json(tmp_path: Path) -> None:
    """A log line says when, who and what first, and writes unknown values as text."""
    log = Log(tmp_path / "log" / "x.jsonl", "x", Clock.anchored())
    log.event("hello", path=tmp_path, count=3)
    log.close()
    line = json.loads((tmp_path / "log" / "x.jsonl").read_text())
    assert list(line)[:3] == ["at", "process", "event"]
    assert (line["path"], line["count"]) == (str(tmp_path), 3)


def test_pipeline_needs_a_core_for_each_spinner() -> None:
    """More spinning processes than cores are refused, naming them; enough cores are handed out."""
    settings = load_settings(CONFIG)
    values = settings.to_json()
    values["run"]["profile"] = "pipeline"
    pipeline = type(settings).from_json(values)
    with pytest.raises(RefuseError, match=r"spinning=signer,core,feeds\.market, cores=2"):
        plan.parts_of(pipeline, Path("/x"), [0, 1])
    parts = plan.parts_of(pipeline, Path("/x"), [0, 2, 4])
    cores = {part.name: part.core for part in parts}
    assert cores == {"recorder": None, "signer": 0, "core": 2, "feeds.market": 4}


def test_key_goes_to_the_signer_alone() -> None:
    """Of all processes only the signer is given the key, the private feed only API credentials."""
    parts = plan.parts_of(load_settings(CONFIG), Path("/x"), pin.cores())
    secrets = {part.name: part.secret.value for part in parts}
    assert secrets == {"recorder": "none", "signer": "key", "core": "none", "feeds.market": "api"}


@given(frames=st.lists(st.binary(max_size=64), max_size=3))
def test_garbage_is_refused_with_a_reason(frames: list[bytes]) -> None:
    """Whatever bytes arrive at the control socket, the answer is a reason or a request."""
    parsed = parse_request(frames)
    assert isinstance(parsed, Request) or parsed


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"command":"fly"}',
        b'{"command":"halt"}',
        b'{"command":"halt","reason":" "}',
        b'{"command":"status","x":1}',
        b'{"command":"resume","reason":"' + b"a" * 600 + b'"}',
        b"[" * 100_000,
        b'{"command":"\xff"}',
    ],
)
def test_requests_that_are_none(text: bytes) -> None:
    """Unknown commands, missing or endless reasons and unknown keys are refused."""
    assert isinstance(parse_request([text]), str)


@pytest.mark.parametrize("content", [b'"\xff"', b"{", b"[]"])
def test_a_run_file_that_is_not_one_is_refused_in_a_sentence(
    content: bytes, tmp_path: Path
) -> None:
    """Bad UTF-8, broken JSON and JSON of another shape: refused by name, never a traceback."""
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RefuseError, match=r"run\.json"):
        RunFile.load(tmp_path)


def test_a_latch_that_cannot_be_read_is_a_halt(tmp_path: Path) -> None:
    """Whatever is in the file, doubt halts."""
    (tmp_path / "halt.json").write_bytes(b'"\xff"')
    assert HaltLatch(tmp_path).read() is not None


def test_logs_that_cannot_be_written_stop_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file where the directory should be: lines and errors are lost, counted, and said once."""
    (tmp_path / "log").write_text("in the way")
    log = Log(tmp_path / "log" / "x.jsonl", "x", Clock.anchored())
    errors = ErrorLog(tmp_path / "log" / "x.errors.json", Clock.anchored())
    for _ in range(3):
        log.event("hello")
        errors.record("duty", ValueError("boom"))
        errors.write()
    log.close()
    assert log.lost >= 3
    assert errors.lost >= 3
    assert capfd.readouterr().err.count("log cannot be written") == 2


def test_a_log_on_a_full_disk_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """An error log that failed is written whole by a later try."""
    path = tmp_path / "x.errors.json"
    path.mkdir()
    errors = ErrorLog(path, Clock.anchored())
    errors.record("duty", ValueError("boom"))
    errors.write()
    assert errors.lost
    path.rmdir()
    errors.write()
    (entry,) = json.loads(path.read_text())
    assert entry["count"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["x.errors.json"]
