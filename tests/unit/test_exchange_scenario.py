"""Scenario files are read strictly, and what they make of frames."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.exchange.fates import Fates, TradeStatus
from engine.exchange.frame_faults import FrameFilter
from engine.exchange.scenario import Fault, FaultKind, Scenario, Seam
from engine.exchange.scenario_file import load_scenario
from engine.host.errors import RefuseError

UP, DOWN = "111", "222"


def write(path: Path, text: str) -> Path:
    """Return a file with this text."""
    file = path / "scenario.toml"
    file.write_text(text)
    return file


def test_a_scenario_is_what_its_file_says(tmp_path: Path):
    """Amounts are read as the venue writes them, what is absent has its default."""
    file = write(
        tmp_path,
        """
        seed = 7
        [settlement]
        fail_ppm = 50_000
        [[fault]]
        kind = "lost_reply"
        route = "POST /order"
        chance = 0.2
        times = 3
        [[fault]]
        kind = "tick"
        from_s = 60
        tick = "0.001"
        """,
    )
    assert load_scenario(file, Fates()) == Scenario(
        7,
        Fates(fail_ppm=50_000),
        (
            Fault(1, FaultKind.LOST_REPLY, route="POST /order", chance=0.2, times=3),
            Fault(2, FaultKind.TICK, from_s=60.0, tick=1_000),
        ),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sed = 7", "unknown key: sed"),
        ("seed = 'x'", "seed must be a whole number"),
        ("[settlement]\nfail_pmm = 1", "settlement has an unknown key: fail_pmm"),
        ("[settlement]\nfail_ppm = 'x'", "settlement has a wrong value: fail_ppm='x'"),
        ("[settlement]\nfail_ppm = 1_000_001", "shares must lie in 0..1_000_000"),
        ("[[fault]]\nkind = 'lost_replay'", "fault 1 has an unknown kind: kind='lost_replay'"),
        ("[[fault]]\nkind = 'lose'\nchance = 2", "fault 1 (lose) has a wrong value: chance=2"),
        ("[[fault]]\nkind = 'lose'\nroute = '*'", "fault 1 (lose) does not have: route"),
        ("[[fault]]\nkind = 'tick'\ntick = 'x'", "fault 1 (tick) has a wrong value: tick='x'"),
        ("waits = 1", "waits must be true or false: waits=1"),
        ("fault = 3", "faults are an array of tables"),
        ("[", "scenario cannot be read"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, complaint: str):
    """File, fault, key and value are in the refusal."""
    file = write(tmp_path, text)
    with pytest.raises(RefuseError) as caught:
        load_scenario(file, Fates())
    assert complaint in str(caught.value)
    assert str(file) in str(caught.value)


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path):
    """Two wrong faults are two complaints."""
    file = write(tmp_path, "[[fault]]\nkind = 'x'\n[[fault]]\nkind = 'lose'\ntimes = -1\n")
    with pytest.raises(RefuseError, match=r"fault 1 .*fault 2 "):
        load_scenario(file, Fates())


def test_every_kind_has_a_seam():
    """No kind of fault is known to the reader and to nobody else."""
    assert {Fault(1, kind).seam for kind in FaultKind} == set(Seam)


@pytest.mark.parametrize("chance", range(0, 3_000_000, 99_991))
def test_a_fate_ends_where_its_shares_say(chance: int):
    """Failing trades end FAILED within their range, stuck ones nowhere, the others CONFIRMED."""
    fates = Fates(
        fail_ppm=300_000, fail_ms_min=500, fail_ms_max=9_000, stuck_ppm=200_000, retry_ppm=500_000
    )
    steps = fates.draw(chance)
    times = [at_ms for _, at_ms in steps]
    assert times == sorted(times)
    ending = chance % 1_000_000
    if ending < 300_000:
        assert steps[-1][0] is TradeStatus.FAILED
        assert 500 <= steps[-1][1] <= 9_000
    elif ending < 500_000:
        assert not any(status.is_final for status, _ in steps)
    else:
        assert [status for status, _ in steps[-2:]] == [TradeStatus.MINED, TradeStatus.CONFIRMED]


def frame(number: int) -> bytes:
    """Return a change of both books, numbered by its size."""
    entries = [
        {"asset_id": token, "price": "0.4", "size": str(number), "side": "BUY", "hash": "h"}
        | {"best_bid": "0.4", "best_ask": "0.5"}
        for token in (UP, DOWN)
    ]
    return orjson.dumps({"market": "m", "price_changes": entries, "event_type": "price_change"})


def faulty(kind: FaultKind, fires: list[bool], **changes: Any) -> FrameFilter:
    """Return a filter whose fault fires as told, frame by frame."""
    draws = iter(fires)
    fault = Fault(1, kind, **changes)
    return FrameFilter([(fault, partial(next, draws))], [UP, DOWN].index, lambda: None)


def test_lost_and_repeated_frames():
    """A lost frame never comes, a repeated one comes twice."""
    assert faulty(FaultKind.LOSE, [True])(frame(1)) == []
    assert faulty(FaultKind.REPEAT, [True])(frame(1)) == [frame(1), frame(1)]


def test_a_shuffled_frame_comes_after_the_next():
    """Nothing is lost, the order changes."""
    passes = faulty(FaultKind.SHUFFLE, [True, False, False])
    assert [passes(frame(n)) for n in (1, 2, 3)] == [[], [frame(2), frame(1)], [frame(3)]]


def test_one_token_falls_silent():
    """What a frame says of the other token still comes; pongs always do."""
    passes = faulty(FaultKind.MUTE, [True] * 3, outcome=0)
    (left,) = passes(frame(1))
    assert [e["asset_id"] for e in orjson.loads(left)["price_changes"]] == [DOWN]
    assert passes(b'{"asset_id":"111","event_type":"last_trade_price"}') == []
    assert passes(b"PONG") == [b"PONG"]


def test_a_crossed_book_is_mended_by_the_next_frame():
    """A bid above the best ask comes first, and goes before anything else comes."""
    passes = faulty(FaultKind.CROSSED, [True, False])
    crossing, first = passes(frame(1))
    mending, second = passes(frame(2))
    (bid,) = orjson.loads(crossing)["price_changes"]
    (gone,) = orjson.loads(mending)["price_changes"]
    assert (bid["price"], bid["side"], gone["price"], gone["size"]) == ("0.51", "BUY", "0.51", "0")
    assert (first, second) == (frame(1), frame(2))


def test_an_old_snapshot_comes_again():
    """The first book of the connection follows a later change."""
    passes = faulty(FaultKind.STALE_BOOK, [False, True])
    book = {"asset_id": UP, "event_type": "book", "bids": [], "asks": []}
    passes(orjson.dumps([book]))
    assert passes(frame(1)) == [frame(1), orjson.dumps(book)]


def test_sizes_get_a_seventh_decimal():
    """Whatever precision they had."""
    passes = faulty(FaultKind.ODD_PRECISION, [True])
    (text,) = passes(b'{"size":"12.5","matched_amount": "3","price":"0.4"}')
    assert text == b'{"size":"12.5000004","matched_amount":"3.0000004","price":"0.4"}'
