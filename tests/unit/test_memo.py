"""The memo decides by the numbers, says where each decision turns, and nothing from bad numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from replay.tape_builder import demo_tape
from typer.testing import CliRunner

from engine.backoffice.decision import (
    COMPONENTS,
    DEPTH_MAX,
    FULL_SHARE,
    HYBRID_SHARE,
    Decision,
    checks,
    overall,
    stage_cases,
)
from engine.backoffice.evidence import STAGE_KEYS, Evidence, Undecidable, of_bench, of_run
from engine.backoffice.memo import memo
from engine.backoffice.observer import OBSERVED_FILE
from engine.bench.limits import native_limits_us
from engine.cli.memo import memo as memo_command
from engine.host.errors import RefuseError

WHOLE_US, LIMIT_US = 1_000.0, 10.0
LIMITS_US = dict.fromkeys(STAGE_KEYS, LIMIT_US)
OBSERVED: dict[str, Any] = {
    "run_id": 1,
    "profile": "shared",
    "cores": 2,
    "samples": 9,
    "processes": {
        name: {
            "pid": pid,
            "rounds": 10,
            "work": 5,
            "errors": 0,
            "round_us_max": 900,
            "collections": 0,
            "user_s": 1.5,
            "system_s": 0.5,
        }
        for pid, name in enumerate(("core", "recorder", "signer"))
    },
    "queues": {"orders": {"capacity": 100, "published": 1, "depth_max": 3}},
}


def bench(**changed: Any) -> dict[str, Any]:
    """What the bench prints of a healthy run whose stages take 60 µs each."""
    stage = {"n": 1_000, "p50": 60.0, "p99": 90.0, "p999": None}
    return {
        "profile": "fused",
        "signing": "full",
        "rate": 1_000,
        "ticks": 1_000,
        "coalesced": 3,
        "unanswered": 0,
        "gc_collections": 0,
        "raw": {
            "p50_us": WHOLE_US,
            "p99_us": 2_000.0,
            "floor_p50_us": 250.0,
            "floor_p99_us": 1_000.0,
        },
        "stages": dict.fromkeys(STAGE_KEYS, stage),
    } | changed


def evidence(**changed: Any) -> Evidence:
    """Evidence whose every stage could win 50 µs of 1,000."""
    return dataclasses.replace(of_bench("bench.json", bench()), **changed)


def slow(name: str, share: float) -> Evidence:
    """Evidence in which one stage could win a share of the whole, and the others nothing."""
    stages = {n: {"n": 1_000, "p50": LIMIT_US, "p99": None, "p999": None} for n in STAGE_KEYS}
    stages[name] = stages[name] | {"p50": LIMIT_US + share * WHOLE_US}
    return evidence(stages=stages)


def text_of(*sources: Evidence) -> str:
    """The memo of these sources on some machine."""
    return memo(sources, LIMITS_US, "a machine")


@pytest.mark.parametrize("name", STAGE_KEYS)
@pytest.mark.parametrize(
    ("share", "decision"),
    [
        (0.0, Decision.STAY),
        (HYBRID_SHARE - 0.001, Decision.STAY),
        (HYBRID_SHARE + 0.001, Decision.HYBRID),
        (FULL_SHARE - 0.001, Decision.HYBRID),
        (FULL_SHARE + 0.001, Decision.FULL),
    ],
)
def test_a_component_is_decided_by_what_it_could_win(
    name: str, share: float, decision: Decision
) -> None:
    """Its gain beyond the native limit, as a share of the order, is beside two thresholds."""
    found = stage_cases(slow(name, share), LIMITS_US)
    cases = {case.component: case.decision for case in found}
    component = next(component for n, component, _ in COMPONENTS if n == name)
    assert cases.pop(component) is decision
    assert set(cases.values()) == {Decision.STAY}
    path, gained = overall(found)
    assert path is (Decision.STAY if decision is Decision.STAY else Decision.HYBRID)
    assert gained == pytest.approx(share)


def test_many_small_gains_rewrite_the_whole_path() -> None:
    """Six stages that could win a twelfth each: no part is worth it alone, the path is."""
    stages = {n: {"n": 1_000, "p50": 100.0, "p99": None, "p999": None} for n in STAGE_KEYS}
    found = stage_cases(evidence(stages=stages), LIMITS_US)
    assert {case.decision for case in found} == {Decision.STAY}
    assert overall(found)[0] is Decision.FULL


def test_a_stage_faster_than_its_limit_wins_nothing() -> None:
    """The limit is measured, and noise may put it above the stage: that is no negative gain."""
    found = stage_cases(evidence(), dict.fromkeys(STAGE_KEYS, 500.0))
    assert {case.gain_us for case in found} == {0.0}


def test_every_decision_stands_beside_its_numbers_and_its_turn() -> None:
    """A reader sees the p50, the limit, the gain, and the p50 at which it would be otherwise."""
    text = text_of(slow("signed", 0.2))
    assert "| signer: policy, amounts, encode, sign | 210 µs | – | 10 µs" in text
    assert "| 200 µs | 20% | **hybrid** |" in text
    assert "hybrid at 210 µs, full above 310 µs" in text
    assert "stay at 10 µs, hybrid above 110 µs" in text
    assert "**The path as a whole: hybrid.**" in text


def test_the_first_source_decides_and_the_others_stand_beside_it() -> None:
    """Where two runs differ the reader sees both, and which of them the verdict is of."""
    calm, hot = slow("sent", 0.0), dataclasses.replace(slow("sent", 0.9), name="hot.json")
    first, second = text_of(calm, hot), text_of(hot, calm)
    assert "**The path as a whole: stay.**" in first
    assert "**The path as a whole: full.**" in second
    assert "| the path as a whole | **stay** | **full** |" in first
    assert "elsewhere" not in text_of(calm)


def test_a_source_s_own_limits_and_machine_win() -> None:
    """A bench of another machine is judged by what native code needed there."""
    theirs = evidence(limits_us=dict.fromkeys(STAGE_KEYS, 40.0), machine="theirs")
    text = text_of(theirs)
    assert "Machine: theirs." in text
    assert "40 µs (one ring hop)" in text


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"unanswered": 1}, "unanswered=1"),
        ({"coalesced": 51}, "coalesced=51"),
        ({"stages": {name: {"p50": None, "p99": None} for name in STAGE_KEYS}}, "too few orders"),
    ],
)
def test_a_machine_that_could_not_follow_decides_nothing(changed: dict[str, Any], why: str) -> None:
    """Orders that waited for each other measure the queue: an error with the numbers, no memo."""
    with pytest.raises(Undecidable, match=why):
        of_bench("bench.json", bench(**changed))


def test_what_lies_beside_the_path_is_asked_too() -> None:
    """A collection, a tail the floor has not, and a queue that fills are each noticed."""
    assert all(check.is_fine for check in checks(evidence(observed=OBSERVED)))
    deep = {"orders": {"capacity": 100, "published": 1, "depth_max": int(100 * DEPTH_MAX) + 1}}
    found = evidence(
        collections=2,
        whole={"p50": 1_000.0, "p99": 10_000.0},
        floor={"p50": 400.0, "p99": 500.0},
        observed=OBSERVED | {"queues": deep, "cores": 1},
        depths={"batch_p99": 65, "batch_max": 70, "orders_max": 0},
    )
    assert [check.is_fine for check in checks(found)] == [False] * 6
    text = text_of(found)
    assert text.count("**look**") == 6
    assert "Before any rewriting, beside the path (below): Does the collector run" in text


def test_a_queue_is_as_deep_as_the_tape_knows() -> None:
    """Who looks now and then misses the moment; the stamps of the orders do not."""
    depths = {"batch_p99": 1, "batch_max": 1, "orders_max": 90}
    found = {check.question: check for check in checks(evidence(observed=OBSERVED, depths=depths))}
    assert found["Does `orders` back up?"].seen == "90 of 100 waiting at most"
    assert not found["Does `orders` back up?"].is_fine


def test_native_limits_are_there_for_every_stage() -> None:
    """Each stage has something that no language makes cheaper, and it takes some time."""
    limits = native_limits_us()
    assert limits.keys() == set(STAGE_KEYS)
    assert min(limits.values()) > 0


def test_a_run_brings_what_its_observer_saw(tmp_path: Path) -> None:
    """Queues, rounds and CPU of the same run stand in its memo; those of another run do not."""
    tape = demo_tape(tmp_path)
    beside = tmp_path / OBSERVED_FILE
    beside.write_text(json.dumps(OBSERVED | {"run_id": 2}))
    assert of_run(tape).observed is None
    beside.write_text(json.dumps(OBSERVED))
    found = of_run(tape)
    assert found.observed == OBSERVED
    assert "profile `shared`" in found.setting
    assert "| signer | 10 | 5 | 900 µs | 0 | 1.5 s | 0.5 s | 0 |" in text_of(found)


def run_command(*arguments: str | Path) -> Any:
    """Run the command as `halftick` would."""
    app = typer.Typer()
    app.command()(memo_command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_run_s_directory_and_a_bench_make_one_memo(tmp_path: Path) -> None:
    """A directory stands for its tape; the memo is written where it was asked for, or printed."""
    demo_tape(tmp_path)
    numbers, out = tmp_path / "bench.json", tmp_path / "ops" / "memo.md"
    numbers.write_text(json.dumps(bench()))
    assert run_command(tmp_path, numbers, "--out", out).exit_code == 0
    text = out.read_text()
    assert f"| `{tmp_path}/tape.ht` (decides) | run 0000000000000001" in text
    assert f"| `{numbers}` | bench, profile `fused`" in text
    printed = run_command(numbers, "--out", "-")
    assert printed.stdout.startswith("# Python or Rust")


def test_what_says_nothing_is_left_out_and_named(tmp_path: Path) -> None:
    """Beside a bench that decides, one that could not follow; alone it is an error."""
    calm, hectic, out = (tmp_path / name for name in ("calm.json", "hectic.json", "memo.md"))
    calm.write_text(json.dumps(bench()))
    hectic.write_text(json.dumps(bench(coalesced=900)))
    assert run_command(calm, hectic, "--out", out).exit_code == 0
    assert (
        f"Left out: the machine could not follow, so nothing can be concluded: file={hectic}"
        in (out.read_text())
    )
    assert isinstance(run_command(hectic, calm, "--out", out).exception, Undecidable)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"stages": 3}', '{"stages": {}}', "\x00", '{"unanswered": 0}']
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever it holds, the error names the file and nothing is written."""
    path = tmp_path / "bench.json"
    path.write_text(text)
    result = run_command(path, "--out", tmp_path / "memo.md")
    assert isinstance(result.exception, RefuseError)
    assert str(path) in str(result.exception)
    assert not (tmp_path / "memo.md").exists()


@pytest.mark.parametrize("key", ["raw", "unanswered", "rate", "gc_collections"])
def test_a_bench_that_lacks_something_is_refused(key: str) -> None:
    """The error names the file and what is missing."""
    numbers = bench()
    del numbers[key]
    with pytest.raises(RefuseError, match=rf"file=old\.json.*{key}"):
        of_bench("old.json", numbers)


def test_a_place_without_a_tape_is_named(tmp_path: Path) -> None:
    """A directory that no run left, or no directory at all."""
    for place in (tmp_path, tmp_path / "nowhere"):
        result = run_command(place, "--out", "-")
        assert isinstance(result.exception, RefuseError)
        assert str(place) in str(result.exception)
