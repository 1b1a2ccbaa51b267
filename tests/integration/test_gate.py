"""The gate fails where something became a quarter slower, and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

import gate
import pytest
import ratios
import versions
from comparison import ROUNDS_MIN, Comparison, any_failed, decide
from versions import Version, VersionError

from engine.backoffice.bootstrap import Verdict

ROOT = Path(__file__).resolve().parents[2]
UNCHANGED_RUNS = 5  # of the gate as it is; more are a loop around this test
HELD_UP = '''

def _held_up(call, own_ns=None, now_ns=__import__("time").perf_counter_ns):
    """Take a quarter longer than the call does, this wrapper's own cost included."""
    if own_ns is None:
        idle = _held_up(lambda: None, 1_000_000)
        begin_ns = now_ns()
        for _ in range(2_000):
            idle()
        own_ns = (now_ns() - begin_ns) // 2_000
    debt_ns = 0

    def slow(*args):
        nonlocal debt_ns
        begin_ns = now_ns()
        result = call(*args)
        end_ns = now_ns()
        debt_ns += (end_ns - begin_ns) // 4 - own_ns
        if debt_ns > 0:
            while now_ns() < end_ns + debt_ns:
                pass
            debt_ns = 0
        return result

    return slow

'''
# What is held up: the file, and the call in it.
PLANTS = {
    "decode": ("feeds/clob_scan.py", "scan = _held_up(scan)"),
    # Where it is compiled into another kernel: only after that can it be held up.
    "book": (
        "engine/core/reflex.py",
        (
            "import engine.core.kernel as _kernel\n"
            "_kernel.apply_market_data = _held_up(apply_market_data)"
        ),
    ),
    "sign": ("signer/ladder.py", "Ladder.sign = _held_up(Ladder.sign)"),
    "ring": (
        "engine/bus/ring.py",
        (
            "_moves = map(_held_up, (QueueWriter.offer, QueueReader.poll))\n"
            "QueueWriter.offer, QueueReader.poll = _moves"
        ),
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A copy of this tree that nobody edits while it is measured, and its compiled code."""
    folder = tmp_path_factory.mktemp("base")
    for name in ("engine", "feeds", "signer", "bench", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.lock", "node_modules")
        shutil.copytree(ROOT / name, folder / "tree" / name, ignore=ignored)
    return Version(folder / "tree", folder / "cache")


@pytest.mark.gate  # ratios of measured times: not for a busy machine
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("unit", PLANTS)
def test_a_planted_quarter_fails(base: Version, tmp_path: Path, unit: str) -> None:
    """Code that is a quarter slower in one place fails there, on a machine that is never quiet."""
    candidate = Version(tmp_path / "tree", tmp_path / "cache")
    shutil.copytree(base.root, candidate.root)
    path, statement = PLANTS[unit]
    file = candidate.root / path
    file.write_text(file.read_text() + HELD_UP + statement + "\n")
    (comparison,), other = versions.compare(base, candidate, [unit])
    assert other == []
    assert comparison.verdict is Verdict.FAIL, comparison.line()


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_unchanged_runs_do_not_fail(base: Version) -> None:
    """Comparisons of a tree with itself: not one of them says that it became slower."""
    for _ in range(UNCHANGED_RUNS):
        comparisons, other = versions.compare(base, base)
        assert other == []
        assert not any_failed(comparisons), [each.line() for each in comparisons]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_version_that_does_other_work_is_not_compared(base: Version, tmp_path: Path) -> None:
    """Doing less is not being faster: what is computed is compared before how long it took."""
    candidate = Version(tmp_path / "tree", tmp_path / "cache")
    shutil.copytree(base.root, candidate.root)
    units = candidate.root / versions.SCRIPT
    units.write_text(units.read_text().replace("RING_RECORDS = 256", "RING_RECORDS = 128"))
    assert versions.compare(base, candidate, ["ring"], rounds=1) == ([], ["ring"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_version_that_does_not_run_is_named(base: Version, tmp_path: Path) -> None:
    """A tree whose units cannot be made is an error with its name, not a slow or a fast one."""
    candidate = Version(tmp_path / "tree", tmp_path / "cache")
    shutil.copytree(base.root, candidate.root)
    (candidate.root / versions.SCRIPT).write_text("raise SystemExit(3)\n")
    with pytest.raises(VersionError, match=str(candidate.root)):
        versions.compare(candidate, base, ["ring"])


def test_a_base_without_units_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first version that has a gate is compared with nothing, and says so."""
    assert gate.main(["--only", "versions", "--base", str(tmp_path)]) == 0
    assert "SKIPPED" in capsys.readouterr().out


def test_a_revision_that_is_not_here_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """A shallow checkout has no parent: told, and nothing fails."""
    assert gate.main(["--only", "versions", "--base-revision", "no-such-revision"]) == 0
    assert "SKIPPED" in capsys.readouterr().out


def test_what_is_undecided_is_played_on_and_then_left() -> None:
    """Three tries of ten, twenty and forty rounds; what is decided plays no more rounds."""
    clear, open_ended = Comparison("clear", 1.1), Comparison("open", 1.0)

    def play(undecided: list[Comparison]) -> None:
        for comparison in undecided:
            step = len(comparison.base) % 2 / 100
            comparison.add(100.0, 101.0 - step if comparison is clear else 100.0 + step - 0.005)

    decide([clear, open_ended], play)
    assert (len(clear.base), clear.verdict) == (10, Verdict.PASS)
    assert (len(open_ended.base), open_ended.verdict) == (40, Verdict.INCONCLUSIVE)
    assert not any_failed([clear, open_ended])


def test_no_round_begins_when_time_is_up() -> None:
    """What could not be measured in time is told as such and does not fail."""
    late = Comparison("late", 1.1)
    decide([late], lambda _: late.add(100.0, 900.0), until_s=0.0)
    assert (late.base, late.verdict) == ([], Verdict.INCONCLUSIVE)
    assert "time was up" in late.line()
    assert late.to_json()["ratio"] is None


def test_few_rounds_conclude_nothing() -> None:
    """Four rounds of twice the time may be an accident; the fifth makes it a verdict."""
    doubled = Comparison("doubled", 1.1)
    for _ in range(ROUNDS_MIN):
        assert doubled.verdict is Verdict.INCONCLUSIVE
        doubled.add(100.0, 200.0)
    assert doubled.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("arguments", "second", "exit_code", "rounds"),
    [
        ((), None, 1, [10]),
        (("--confirm",), 0.5, 0, [10, 20]),
        (("--confirm",), 2.0, 1, [10, 20]),
    ],
    ids=["alone", "not confirmed", "confirmed"],
)
def test_a_failure_is_confirmed_where_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    second: float | None,
    exit_code: int,
    rounds: list[int],
) -> None:
    """On a busy machine only what fails twice fails, and only what failed is measured again."""
    played: list[int] = []

    def compare(names: list[str], *_: object, rounds: int, **__: object) -> list[Comparison]:
        played.append(rounds)
        cost = 2.0 if len(played) == 1 else second
        assert len(played) == 1 or list(names) == ["book_apply"]
        done = [Comparison(name, 1.1) for name in names]
        for comparison in done:
            for _ in range(rounds):
                comparison.add(100.0, 100.0 * (cost if comparison.name == "book_apply" else 1.0))
        return done

    monkeypatch.setattr(ratios, "compare", compare)
    assert gate.main(["--only", "ratios", *arguments]) == exit_code
    assert played == rounds


def test_a_restless_machine_concludes_nothing() -> None:
    """Where rounds differ by more than five percent even a doubled time is not a verdict."""
    comparison = Comparison("restless", 1.1)
    for round_number in range(10):
        comparison.add(100.0 * (1 + round_number % 3 / 3), 200.0)
    assert comparison.verdict is Verdict.INCONCLUSIVE


def test_every_ratio_has_a_budget() -> None:
    """The budgets and the ratios name the same things, and a limit is never below its target."""
    assert {budget.name for budget in ratios.budgets()} == {*ratios.SIDES, ratios.TICK_TO_TRADE}
    assert all(budget.limit >= budget.target > 0 for budget in ratios.budgets())
