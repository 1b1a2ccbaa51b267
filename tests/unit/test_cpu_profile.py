"""Where the core's time goes, from a replay of a tape under a profiler."""

from __future__ import annotations

from pathlib import Path

import pytest
from core_driver import DUTCH, SPREAD, params
from replay.tape_builder import TapeBuilder, book, demo_tape, instrument

from engine.backoffice.cpu_profile import BUILTINS, KERNELS, profile_replay
from engine.tape.format import TapeError

BATCHES = 20


def test_time_is_told_by_module_and_kernels_apart(tmp_path: Path) -> None:
    """Shares are of the core alone and make up the whole; jitted kernels are seen as such."""
    tape = TapeBuilder(params(DUTCH, SPREAD).to_json())
    tape.batch([instrument(1, 0, 0), instrument(2, 1, 0)])
    for _ in range(BATCHES):
        tape.batch([book(index, 400_000, 500_000, 0, tape.now_ns) for index in (1, 2)])
    found = profile_replay(tape.write(tmp_path / "tape.ht"))
    assert found.batches == BATCHES + 1
    assert found.seconds > 0
    assert sum(found.modules.values()) == pytest.approx(1)
    assert {KERNELS, BUILTINS, "engine.core.engine"} <= found.modules.keys()
    assert not any(name.startswith("engine.tape") for name in found.modules)
    assert list(found.modules.values()) == sorted(found.modules.values(), reverse=True)


def test_a_tape_of_another_version_has_no_profile(tmp_path: Path) -> None:
    """Parameters that make no core are an error with the file's name."""
    tape = demo_tape(tmp_path)
    with pytest.raises(TapeError, match=str(tape)):
        profile_replay(tape)
