"""The summary equals a recomputation that shares nothing with it, to the micro."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import numpy as np
import pytest
from replay.tape_builder import (
    MICROS,
    START_NS,
    TapeBuilder,
    Trader,
    book,
    demo_tape,
    digest,
    fill,
    instrument,
    record,
    resolved,
)
from rich.console import Console

from engine.backoffice import hdr
from engine.backoffice.latency import STAGES
from engine.backoffice.live import LiveState, LiveView, final_tables, live_view
from engine.backoffice.report import render
from engine.backoffice.summary import Summary, summarize
from engine.tape.reader import TapeReader
from engine.wire.codes import Kind, Liquidity, Reason, Settlement, Side
from engine.wire.records import typed

UP, DOWN = 1, 2


def open_tape() -> TapeBuilder:
    """A tape with one market and nothing done in it."""
    tape = TapeBuilder()
    tape.batch([instrument(UP, 0, 0), instrument(DOWN, 1, 0)])
    return tape


def summary_of(tape: TapeBuilder, directory: Path) -> Summary:
    """What the tape comes to."""
    return summarize(tape.write(directory / "tape.ht"))


def recomputed(path: Path) -> dict[str, dict[int, dict[str, Decimal]]]:
    """Profit and fees by condition and strategy, in Decimal pUSD, straight from the records."""
    rows = np.concatenate([piece.rows for piece in TapeReader(path).slices()])
    kinds = rows[:, 0] & 0xFFFF

    def of(kind: Kind) -> list[np.void]:
        return list(typed(np.ascontiguousarray(rows[kinds == kind]), kind))

    condition = {
        int(r["instrument"]): r["condition_id"].tobytes().hex() for r in of(Kind.INSTRUMENT)
    }
    payout = {int(r["instrument"]): Decimal(int(r["payout"])) / MICROS for r in of(Kind.STATUS)}
    strategy = {int(r["order_id"]): int(r["strategy"]) for r in of(Kind.NEW_ORDER)}
    owner = {r["order_hash"].tobytes(): strategy[int(r["order_id"])] for r in of(Kind.SIGNED)}
    found: dict[str, dict[int, dict[str, Decimal]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(Decimal))
    )
    for r in of(Kind.FILL):
        price, size = Decimal(int(r["price"])) / MICROS, Decimal(int(r["size"])) / MICROS
        rate = Decimal("0.07") if r["liquidity"] == Liquidity.TAKER else Decimal(0)
        fee = (size * rate * price * (1 - price)).quantize(Decimal("0.00001"), ROUND_DOWN)
        sign = -1 if r["side"] == Side.BUY else 1
        part = found[condition[int(r["instrument"])]][owner[r["order_hash"].tobytes()]]
        part["pnl"] += sign * size * (price - payout[int(r["instrument"])]) - fee
        part["fees"] += fee
        part["fills"] += 1
    return found


def test_profit_equals_a_recomputation_in_decimals(tmp_path: Path):
    """Profit, fees and fills of every market and strategy agree with Decimal arithmetic."""
    path = demo_tape(tmp_path, markets=4, seed=11)
    summary = summarize(path)
    expected = recomputed(path)
    assert summary.total.fills > 50
    names = {"dutch_book": 1, "spread": 2}
    for market in summary.markets:
        for name, done in market.strategies.items():
            part = expected[market.condition_id[2:]][names[name]]
            assert Decimal(done.pnl) / MICROS == part["pnl"]
            assert Decimal(done.fees) / MICROS == part["fees"]
            assert done.fills == part["fills"]


def test_the_equity_curve_ends_in_the_profit(tmp_path: Path):
    """Once everything has resolved, the curve's last point is the total of the tables."""
    summary = summarize(demo_tape(tmp_path, markets=3, seed=5))
    assert summary.equity[-1].equity == summary.total.pnl
    assert sum(done.pnl for done in summary.by_strategy.values()) == summary.total.pnl


def test_a_fill_reported_again_counts_once(tmp_path: Path):
    """Later settlement states of a fill move nothing."""
    tape = open_tape()
    states = (Settlement.MATCHED, Settlement.MINED, Settlement.MATCHED, Settlement.CONFIRMED)
    for state in states:
        tape.batch([fill(7, UP, 400_000, 10 * MICROS, settlement=state)])
    total = summary_of(tape, tmp_path).total
    assert (total.fills, total.volume, total.fees) == (1, 4 * MICROS, 168_000)


def test_a_failed_fill_never_happened(tmp_path: Path):
    """FAILED takes a fill back whole, in whatever order it comes."""
    tape = open_tape()
    tape.batch([fill(7, UP, 400_000, 10 * MICROS)])
    tape.batch([fill(7, UP, 400_000, 10 * MICROS, settlement=Settlement.FAILED)])
    tape.batch([fill(8, UP, 400_000, 10 * MICROS, settlement=Settlement.FAILED)])
    tape.batch([fill(8, UP, 400_000, 10 * MICROS)])
    summary = summary_of(tape, tmp_path)
    assert (summary.total.fills, summary.total.pnl, summary.total.fees) == (0, 0, 0)
    assert summary.equity[-1].equity == 0


def test_legs_of_one_trade_are_different_fills(tmp_path: Path):
    """The same trade and order may fill us twice; the leg tells them apart."""
    tape = open_tape()
    tape.batch([fill(7, UP, 400_000, MICROS, leg=leg) for leg in range(3)])
    assert summary_of(tape, tmp_path).total.fills == 3


def test_the_venue_s_own_fee_is_believed(tmp_path: Path):
    """A fee in the FILL is taken as it is; only where there is none it is computed."""
    tape = open_tape()
    tape.batch([fill(1, UP, 500_000, 10 * MICROS, fee=12_345)])
    tape.batch([fill(2, UP, 500_000, 10 * MICROS)])
    tape.batch([fill(3, UP, 500_000, 10 * MICROS, liquidity=Liquidity.MAKER)])
    assert summary_of(tape, tmp_path).total.fees == 12_345 + 175_000


def test_open_positions_are_worth_the_middle_of_their_book(tmp_path: Path):
    """What has not resolved is marked at mid and said to be open."""
    tape = open_tape()
    tape.batch([fill(1, UP, 400_000, 10 * MICROS, fee=0)])
    tape.batch([book(UP, 440_000, 460_000, START_NS, START_NS)])
    total = summary_of(tape, tmp_path).total
    assert (total.pnl, total.open_shares) == (500_000, 10 * MICROS)


def test_a_resolved_market_ignores_its_book(tmp_path: Path):
    """The payout is the last word, whatever quotes still arrive."""
    tape = open_tape()
    tape.batch([fill(1, DOWN, 400_000, 10 * MICROS, fee=0)])
    tape.batch([resolved(UP, 0, START_NS, START_NS), resolved(DOWN, MICROS, START_NS, START_NS)])
    tape.batch([book(DOWN, 100_000, 120_000, START_NS, START_NS)])
    summary = summary_of(tape, tmp_path)
    assert (summary.total.pnl, summary.total.open_shares) == (6 * MICROS, 0)
    assert summary.markets[0].payout_up == 0


def test_orders_are_counted_by_what_became_of_them(tmp_path: Path):
    """Rejected, unknown and cancelled orders are counted once each, by strategy."""
    tape = open_tape()
    for order_id, (kind, reason) in enumerate(
        [
            (Kind.REJECT, Reason.VENUE_BALANCE),
            (Kind.UNKNOWN, Reason.TIMEOUT),
            (Kind.DONE, Reason.CANCELED),
            (Kind.DONE, Reason.FILLED),
        ],
        start=1,
    ):
        opened = record(Kind.NEW_ORDER, instrument=UP, order_id=order_id, strategy=2)
        answer = record(kind, order_id=order_id, reason=reason)
        tape.batch([], [opened])
        tape.batch([answer, answer])
    done = summary_of(tape, tmp_path).by_strategy["spread"]
    assert (done.orders, done.rejects, done.unknowns, done.cancels) == (4, 1, 1, 1)


def test_a_fill_of_an_unknown_order_is_shown_as_such(tmp_path: Path):
    """A fill whose order is not on the tape is counted, and not credited to a strategy."""
    tape = open_tape()
    tape.batch([fill(99, UP, 400_000, MICROS)])
    assert summary_of(tape, tmp_path).by_strategy["unattributed"].fills == 1


def test_latency_stages_add_up(tmp_path: Path):
    """Every order's stages lie between its stamps; their sum is the whole."""
    tape = open_tape()
    trader = Trader(tape)
    for number in range(400):
        tape.now_ns += 10_000_000
        latency_ns = 80_000 + 800 * number
        trader.order(
            UP, Side.BUY, 500_000, MICROS, strategy=1, venue_ns=START_NS, latency_ns=latency_ns
        )
    latency = summary_of(tape, tmp_path).latency
    expected = np.array([80_000 + 800 * number for number in range(400)])
    np.testing.assert_array_equal(latency.samples_ns, expected)
    assert latency.total.p50 == hdr.percentile(expected, hdr.P50)
    assert latency.total.p99 == hdr.percentile(expected, hdr.P99)
    assert latency.total.p999 is None
    assert list(latency.stages) == [name for name, _, _ in STAGES]
    assert all(stage.n == 400 for stage in latency.stages.values())


def test_orders_on_the_core_s_own_timer_are_no_ticks(tmp_path: Path):
    """An order whose trigger is the batch's own time measures nothing."""
    tape = open_tape()
    stamps = {"trigger_ns": START_NS, "decided_ns": START_NS}
    tape.batch([], [record(Kind.NEW_ORDER, instrument=UP, order_id=1, **stamps)])
    stages = dict.fromkeys(("polled_ns", "signed_ns", "logged_ns", "sent_ns"), START_NS + 10**9)
    tape.batch([record(Kind.ACK, order_id=1, **stages)])
    assert summary_of(tape, tmp_path).latency.total.n == 0


def test_damaged_records_are_left_out_and_counted(tmp_path: Path):
    """A fill that cannot be believed is not booked."""
    tape = open_tape()
    tape.batch([fill(1, UP, 400_000, MICROS)])
    path = tape.write(tmp_path / "tape.ht")
    data = bytearray(path.read_bytes())
    data[-144 - 50] ^= 1  # in the fill, the last record but one
    path.write_bytes(data)
    summary = summarize(path)
    assert (summary.total.fills, summary.damaged) == (0, 1)


def test_the_json_has_the_demo_s_shape(tmp_path: Path):
    """Markets, totals, latency, tape and report are there, and money is exact to six decimals."""
    path = demo_tape(tmp_path, markets=2)
    summary = summarize(path)
    told = json.loads(json.dumps(summary.to_json(report=tmp_path / "report.html")))
    assert {"markets", "totals", "tick_to_trade_us", "tape", "report"} <= told.keys()
    assert told["markets"][0]["slug"].startswith("btc-updown-15m-")
    fields = {"slug", "orders", "fills", "fees_usd", "pnl_usd", "strategies"}
    assert fields <= told["markets"][0].keys()
    assert round(told["totals"]["pnl_usd"] * MICROS) == summary.total.pnl
    assert {"p50", "p99", "p999", "n", "stages"} <= told["tick_to_trade_us"].keys()


def test_an_empty_tape_is_summed_up_and_drawn(tmp_path: Path):
    """A run in which nothing happened has a summary, a report and tables like any other."""
    summary = summary_of(TapeBuilder(), tmp_path)
    assert summary.total.orders == 0
    assert "Nothing was traded" in render(summary)
    final_tables(summary)


def test_the_report_is_self_contained_and_escaped(tmp_path: Path):
    """Nothing is loaded from anywhere, and a hostile slug is text."""
    path = demo_tape(tmp_path, markets=2)
    hostile = '<script>alert(1)</script>"&'
    names = [{"slug": hostile, "condition_id": "0x" + digest("market", 0).hex()}]
    (tmp_path / "instruments.json").write_text(json.dumps({"instruments": names}))
    page = render(summarize(path))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for loads in ('src="', "@import", "<link", "url(http"):
        assert loads not in page
    assert page.count("<svg ") == 4


def test_ids_on_the_page_are_unique(tmp_path: Path):
    """Plots on one page do not share ids, so none borrows another's clipping."""
    page = render(summarize(demo_tape(tmp_path, markets=3)))
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "state",
    [
        LiveState("", 0.0, 0),
        LiveState("btc-updown-15m-1", 1.7, 1_790_586_000_000, 1, -5, 3, 2, "HALT_OPERATOR"),
        LiveState.of({}, {}),
        LiveState.of({"slug": None, "played": 3, "total": 0}, {"halted": 192, "fills": 4}),
    ],
)
def test_any_moment_can_be_shown(state: LiveState):
    """The live view is drawn before the first market as after the last."""
    console = Console(width=120, file=io.StringIO(), record=True, force_terminal=True)
    with LiveView(console, markets=18) as view:
        view.update(state)
        console.print(live_view(state, 0, 18))
    text = console.export_text()
    assert "PnL" in text
    assert ("halted: HALT_OPERATOR" in text) == bool(state.halted)


def test_nothing_is_shown_where_nobody_watches():
    """Without a terminal the live view writes nothing at all."""
    console = Console(file=io.StringIO(), force_terminal=False)
    with LiveView(console, markets=18) as view:
        view.update(LiveState("btc", 0.5, 0))
    assert console.file.getvalue() == ""
