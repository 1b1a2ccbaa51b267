"""The slowest orders of a tape, their stages and the frame that caused each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from replay.tape_builder import START_NS, TapeBuilder, Trader, book, demo_tape, instrument, record
from typer.testing import CliRunner, Result

from engine.backoffice.histograms import Histogram
from engine.backoffice.latency import percentiles
from engine.backoffice.trace import NoSuchOrder, of_order, spans, worst
from engine.backoffice.units import STAGE_NAMES
from engine.cli.trace import trace
from engine.host.errors import RefuseError
from engine.tape.format import ENTRY_BYTES
from engine.tape.reader import TapeReader
from engine.wire.codes import Kind

UP, DOWN = 1, 2
STAGES = ("decided_ns", "published_ns", "polled_ns", "signed_ns", "logged_ns", "sent_ns")


def run(*arguments: str | Path) -> Result:
    """Run the command as `halftick` would."""
    app = typer.Typer()
    app.command()(trace)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def tape_of(directory: Path, *orders: tuple[int, int]) -> Path:
    """A tape of orders (id, nanoseconds from frame to last byte), each caused by a frame of two.

    The frame before it in the same batch is another one, a microsecond older.
    """
    tape = TapeBuilder()
    tape.batch([instrument(UP, 0, 0), instrument(DOWN, 1, 0)])
    for order_id, total_ns in orders:
        tape.now_ns += 10_000_000
        at = tape.now_ns
        other = book(UP, 400_000, 500_000, 0, at - 1_000)
        frame = [book(i, 400_000, 500_000, 0, at) for i in (UP, DOWN)]
        cause = tape.count + 3
        stamps = {name: at + total_ns * (i + 1) // 6 for i, name in enumerate(STAGES)}
        opened = record(
            Kind.NEW_ORDER,
            instrument=DOWN,
            order_id=order_id,
            trigger_ns=at,
            decided_ns=stamps["decided_ns"],
            trace=cause,
            price=510_000,
            size=5_000_000,
        )
        tape.batch([other, *frame], [opened], stamps["decided_ns"], stamps["published_ns"])
        left = {name: stamps[name] for name in STAGES[2:]}
        tape.batch([record(Kind.ACK, order_id=order_id, **left)])
    return tape.write(directory / "tape.ht")


def test_the_slowest_orders_come_first(tmp_path: Path) -> None:
    """As many as asked for, from the slowest down; equally slow ones in the tape's order."""
    path = tape_of(tmp_path, (1, 60_000), (2, 900_000), (3, 60_000), (4, 300_000))
    found = worst(path, 4)
    assert [(t.order.order_id, t.total_ns) for t in found] == [
        (2, 900_000),
        (4, 300_000),
        (1, 60_000),
        (3, 60_000),
    ]
    assert [t.order.order_id for t in worst(path, 1)] == [2]


def test_stages_lie_end_to_end_from_the_frame_to_the_last_byte(tmp_path: Path) -> None:
    """Each stage begins where the one before it ended; together they are the whole."""
    (found,) = worst(tape_of(tmp_path, (1, 600_000)))
    at = 0
    for span in found.spans:
        assert span.began_ns == at
        at += span.spent_ns
    assert at == found.total_ns == 600_000


def test_the_frame_is_the_records_of_one_receive_stamp(tmp_path: Path) -> None:
    """Records of another frame in the same batch are not shown; the batch is named for a replay."""
    path = tape_of(tmp_path, (1, 600_000))
    (found,) = worst(path)
    assert [record.sequence for record in found.frame] == [found.cause - 1, found.cause]
    assert found.batch == found.cause - 3
    told = found.to_json()["frame"]
    assert [(r["kind"], r["instrument"]) for r in told] == [("LEVELS", UP), ("LEVELS", DOWN)]


def test_an_order_is_found_by_its_id(tmp_path: Path) -> None:
    """Also one that was never sent: its stages end where it did, and it has no total."""
    tape = TapeBuilder()
    tape.batch([instrument(UP, 0, 0)])
    stamps: dict[str, Any] = {"trigger_ns": START_NS, "decided_ns": START_NS + 5}
    tape.batch([], [record(Kind.NEW_ORDER, instrument=UP, order_id=0xAB, trace=1, **stamps)])
    path = tape.write(tmp_path / "tape.ht")
    found = of_order(path, 0xAB)
    assert found.total_ns is None
    assert [span.name for span in found.spans] == ["received_to_polled", "polled_to_published"]
    assert worst(path) == []
    with pytest.raises(NoSuchOrder, match="order=00000000000000ac"):
        of_order(path, 0xAC)


def test_an_order_of_the_core_s_own_timer_has_no_frame(tmp_path: Path) -> None:
    """Nothing came in then; it is no tick to trade."""
    tape = TapeBuilder()
    stamps = {"trigger_ns": START_NS, "decided_ns": START_NS}
    tape.batch([], [record(Kind.NEW_ORDER, order_id=1, **stamps)])
    found = of_order(tape.write(tmp_path / "tape.ht"), 1)
    assert (found.cause, found.batch, found.frame, found.total_ns) == (0, 0, (), None)


def test_a_cause_that_the_tape_has_lost_leaves_the_stages(tmp_path: Path) -> None:
    """Where the recorder was lapped the frame is missing, and the rest is told all the same."""
    path = tape_of(tmp_path, (1, 600_000))
    whole = path.read_bytes()
    (found,) = worst(path)
    with TapeReader(path) as reader:
        start = len(whole) - reader.records * ENTRY_BYTES
    cut = start + (found.cause - 3) * ENTRY_BYTES
    path.write_bytes(whole[:cut] + whole[cut + 4 * ENTRY_BYTES :])
    (lost,) = worst(path)
    assert lost.frame == ()
    assert lost.spans == found.spans == spans(found.order)


def test_the_picture_names_the_order_its_stages_and_its_cause(tmp_path: Path) -> None:
    """A person reads the whole first, then a bar a stage, then the records, the cause marked."""
    tape_of(tmp_path, (0xFEED, 600_000))
    shown = run(tmp_path, "--worst", "1")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    (first,) = (n for n, line in enumerate(lines) if line.startswith("600 µs  order"))
    assert "order 000000000000feed  BUY 5.00 at 0.51" in lines[first]
    assert sum("━" in line for line in lines[first:]) == len(STAGES)
    assert [line.split()[1] for line in lines if line.lstrip().startswith("→")] == ["7"]
    assert "BUY 500@0.4" in shown.stdout


def test_every_stage_has_a_histogram_and_the_stamps_a_price(tmp_path: Path) -> None:
    """A line a stage and one for the whole, then what measuring cost: nothing else when asked."""
    orders = [(number + 1, 600_000) for number in range(10)]
    lines = run(tape_of(tmp_path, *orders), "--worst", "0").stdout.splitlines()
    assert lines[0].startswith("stage")
    assert [line.split("  ")[0] for line in lines[1:8]] == [*STAGE_NAMES.values(), "whole"]
    assert all("█" in line for line in lines[1:8])
    assert "10 orders; their 8 stamps cost" in lines[8]
    assert not any(lines[9:])


def test_histograms_hold_every_order_once() -> None:
    """Counts of all buckets are the samples, and each sample lies in its bucket."""
    samples_ns = np.array([0, 5, 5, 3_001, 3_000_000_000])
    found = Histogram("sent", percentiles(samples_ns), samples_ns)
    buckets = found.to_json()["buckets_ns"]
    assert [count for _, _, count in buckets] == [1, 2, 1, 1]
    assert all(
        low <= ns <= high for (low, high, _), ns in zip(buckets, np.unique(samples_ns), strict=True)
    )
    assert found.octaves() == {10: 3, 11: 1, 31: 1}
    assert found.max_ns == 3_000_000_000


def test_the_json_is_one_object_of_the_same_orders(tmp_path: Path) -> None:
    """Scripts get what the picture shows, times in microseconds."""
    directory = tmp_path
    shown = run(demo_tape(directory), "--worst", "3", "--json")
    told = json.loads(shown.stdout)
    found = told["orders"]
    assert told["histograms_us"].keys() == {*STAGE_NAMES, "whole"}
    assert told["histograms_us"]["whole"]["max"] == max(order["total_us"] for order in found)
    assert told["instrumentation"]["stamps_an_order"] == 8
    assert told["instrumentation"]["stamp_ns"] > 0
    totals = [order["total_us"] for order in found]
    assert len(totals) == 3
    assert totals == sorted(totals, reverse=True)
    assert sum(s["spent_us"] for s in found[0]["stages"]) == pytest.approx(totals[0])
    again = run(directory / "tape.ht", "--order", found[1]["order_id"], "--json")
    assert json.loads(again.stdout)["orders"] == [found[1]]
    assert "histograms_us" not in json.loads(again.stdout)


@pytest.mark.parametrize("text", ["xyz", "-"])
def test_an_id_that_is_none_is_a_usage_error(tmp_path: Path, text: str) -> None:
    """The exit code is that of a wrong command line."""
    assert run(tape_of(tmp_path, (1, 60_000)), "--order", text).exit_code == 2


def test_a_place_without_a_tape_is_named(tmp_path: Path) -> None:
    """A directory that no run left is refused by its name."""
    result = run(tmp_path)
    assert isinstance(result.exception, RefuseError)
    assert str(tmp_path / "tape.ht") in str(result.exception)


def test_a_tape_without_orders_says_so(tmp_path: Path) -> None:
    """Nothing to show is said, and is no failure."""
    shown = run(TapeBuilder().write(tmp_path / "tape.ht"))
    assert (shown.exit_code, "no order" in shown.stdout) == (0, True)


def test_orders_of_a_long_tape_are_found_across_slices(tmp_path: Path) -> None:
    """A tape of many slices gives the same answer as its orders in memory."""
    tape = TapeBuilder()
    tape.batch([instrument(UP, 0, 0)])
    trader = Trader(tape)
    for number in range(3):
        for _ in range(4_000):
            tape.add(book(UP, 400_000, 500_000, 0, tape.now_ns))
        tape.now_ns += 10_000_000
        trader.order(UP, 0, 500_000, 5_000_000, strategy=1, venue_ns=0, latency_ns=80_000 + number)
    found = worst(tape.write(tmp_path / "tape.ht"))
    assert [t.total_ns for t in found] == [80_002, 80_001, 80_000]
