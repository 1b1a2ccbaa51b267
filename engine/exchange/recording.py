"""Recorded markets as columns: what there was to see, snapshot by snapshot, and how it ended.

Two sources of one shape. `resolvedkit`: the sample inside that package, two Parquet files. A
folder: `markets.jsonl` and one `<slug>.jsonl.gz` a market with `{ts, side, bids, asks}` lines,
levels `[price, size]`. Prices and sizes become integer micros on the way in; a million levels stay
in numpy columns and only the snapshot being played becomes Python objects.

A market is of generation 2 and not neg risk, unless its row says `generation` 3 or `neg_risk` true.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.exchange.books import Levels
from engine.exchange.market import Market, derive_tokens
from engine.exchange.texts import MICROS
from engine.host.errors import RefuseError
from signer.contracts import Generation
from signer.position_ids import decode_position_id

PACKAGE = "resolvedkit"
SIDES = ("UP", "DOWN")
PRICE_UNIT = 100  # micros: the finest grid of the venue

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ladders:
    """One side of many snapshots. Snapshot i has levels `ends[i] - counts[i] : ends[i]`."""

    ends: Ints
    counts: Ints
    prices: Ints
    sizes: Ints

    def levels(self, row: int) -> Levels:
        """Return one snapshot's levels, price → size in micros."""
        end = int(self.ends[row])
        span = slice(end - int(self.counts[row]), end)
        return dict(zip(self.prices[span].tolist(), self.sizes[span].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Recording:
    """Snapshots in the order of playing: by time, market and outcome.

    times_ms, market, outcome: shape (rows,); `market` indexes `markets`, outcome 0 is Up.
    source: the row's place in `bids` and `asks`.
    """

    markets: tuple[Market, ...]
    times_ms: Ints
    market: Ints
    outcome: Ints
    source: Ints
    bids: Ladders
    asks: Ladders

    def __len__(self) -> int:
        return len(self.times_ms)

    def book(self, row: int) -> tuple[Levels, Levels]:
        """Return (bids, asks) of a row."""
        source = int(self.source[row])
        return self.bids.levels(source), self.asks.levels(source)


def load_recording(name: str, markets_max: int | None = None) -> Recording:
    """Return the first `markets_max` markets of a recording, by start time.

    name: "resolvedkit", or a folder. Raises RefuseError naming the file and what is wrong.
    """
    if name == PACKAGE:
        recording = _load_package()
    else:
        recording = _load_folder(Path(name))
    return _first_markets(recording, markets_max)


def _load_package() -> Recording:
    try:
        import pyarrow.parquet as parquet
        import resolvedkit
    except ImportError as error:
        raise RefuseError(
            f"the recording {PACKAGE} needs the extra 'demo': missing={error.name}"
        ) from None
    folder = Path(resolvedkit.__file__).parent / "sample_data"
    try:
        market_rows = parquet.read_table(folder / "markets.parquet").to_pylist()
        books = parquet.read_table(folder / "books.parquet").combine_chunks()
    except OSError as error:
        raise RefuseError(f"recording cannot be read: folder={folder}, {error}") from None
    ids = books["market_id"].combine_chunks().dictionary_encode()
    sides = books["side"].combine_chunks().dictionary_encode()
    ladders = [
        _ladders(
            folder,
            np.diff(books[f"{side}_px"].chunk(0).offsets.to_numpy()),
            books[f"{side}_px"].chunk(0).values.to_numpy(),
            books[f"{side}_sz"].chunk(0).values.to_numpy(),
        )
        for side in ("bid", "ask")
    ]
    return _assemble(
        folder,
        market_rows,
        books["ts"].to_numpy(),
        (ids.dictionary.to_pylist(), ids.indices.to_numpy()),
        (sides.dictionary.to_pylist(), sides.indices.to_numpy()),
        ladders,
    )


def _load_folder(folder: Path) -> Recording:
    index = folder / "markets.jsonl"
    try:
        market_rows = [orjson.loads(line) for line in index.read_bytes().splitlines() if line]
    except (OSError, orjson.JSONDecodeError) as error:
        raise RefuseError(f"recording cannot be read: file={index}, {error}") from None
    if not market_rows or not all(isinstance(row, dict) for row in market_rows):
        raise RefuseError(f"recording lists no markets: file={index}")
    times: list[int] = []
    ids: list[int] = []
    sides: list[str] = []
    levels: dict[str, list[list[list[float]]]] = {"bids": [], "asks": []}
    for number, row in enumerate(market_rows):
        path = folder / f"{row.get('slug')}.jsonl.gz"
        try:
            for line in _lines(path):
                times.append(line["ts"])
                ids.append(number)
                sides.append(line["side"])
                levels["bids"].append(line["bids"])
                levels["asks"].append(line["asks"])
        except (KeyError, TypeError) as error:
            raise RefuseError(f"recording has a malformed line: file={path}, {error}") from None
    names = sorted(set(sides))
    places = {side: place for place, side in enumerate(names)}
    return _assemble(
        folder,
        market_rows,
        _array(folder, times, np.int64),
        ([row.get("market_id") for row in market_rows], np.asarray(ids, np.int64)),
        (names, np.asarray([places[side] for side in sides], np.int64)),
        [_nested_ladders(folder, levels[side]) for side in ("bids", "asks")],
    )


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rb") as source:
            for line in source:
                yield orjson.loads(line)
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as error:
        raise RefuseError(f"recording cannot be read: file={path}, {error}") from None


def _nested_ladders(folder: Path, rows: list[list[list[float]]]) -> Ladders:
    try:
        counts = np.fromiter(map(len, rows), np.int64, len(rows))
        flat = list(chain.from_iterable(chain.from_iterable(rows)))
    except TypeError as error:
        raise RefuseError(f"recording has malformed levels: folder={folder}, {error}") from None
    values = _array(folder, flat, np.float64)
    if len(values) != 2 * counts.sum():
        raise RefuseError(f"recording has levels that are not [price, size]: folder={folder}")
    return _ladders(folder, counts, values[::2], values[1::2])


def _ladders(folder: Path, counts: Any, prices: Any, sizes: Any) -> Ladders:
    """Return validated columns; prices and sizes arrive as float shares and dollars."""
    scaled = [_micros(values) for values in (prices, sizes)]
    price_micros, size_micros = scaled
    bad = (price_micros <= 0) | (price_micros >= MICROS) | (price_micros % PRICE_UNIT != 0)
    if bad.any():
        value = float(np.asarray(prices)[bad][0])
        raise RefuseError(f"recording has an impossible price: folder={folder}, price={value}")
    bad = size_micros <= 0
    if bad.any():
        value = float(np.asarray(sizes)[bad][0])
        raise RefuseError(f"recording has an impossible size: folder={folder}, size={value}")
    counts = np.asarray(counts, np.int64)
    return Ladders(np.cumsum(counts), counts, price_micros, size_micros)


def _micros(values: Any) -> Ints:
    """Return floats as micros; what is not finite or far too large becomes -1."""
    scaled = np.rint(np.asarray(values, np.float64) * MICROS)
    return np.where(np.isfinite(scaled) & (np.abs(scaled) < 2**62), scaled, -1.0).astype(np.int64)


def _array(folder: Path, values: Sequence[Any], dtype: Any) -> Any:
    try:
        return np.asarray(values, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise RefuseError(f"recording has a malformed number: folder={folder}, {error}") from None


def _assemble(
    folder: Path,
    market_rows: list[dict[str, Any]],
    times_ms: Ints,
    ids: tuple[list[Any], Ints],
    sides: tuple[list[Any], Ints],
    ladders: list[Ladders],
) -> Recording:
    """Join rows and markets and put everything in the order of playing."""
    rows = sorted(market_rows, key=lambda row: (row.get("start_ts", 0), str(row.get("slug"))))
    markets = tuple(_market(folder, row) for row in rows)
    places = {market.condition_id: place for place, market in enumerate(markets)}
    unknown = [name for name in ids[0] if name not in places]
    strange = [name for name in sides[0] if name not in SIDES]
    if unknown or strange:
        raise RefuseError(
            f"recording has rows of nothing known: folder={folder}, "
            f"markets={unknown[:3]}, sides={strange[:3]}"
        )
    market = np.asarray([places[name] for name in ids[0]], np.int64)[ids[1]]
    outcome = np.asarray([SIDES.index(name) for name in sides[0]], np.int64)[sides[1]]
    order = np.lexsort((outcome, market, times_ms))
    return Recording(
        markets,
        np.ascontiguousarray(times_ms[order], np.int64),
        market[order],
        outcome[order],
        order.astype(np.int64),
        *ladders,
    )


def _market(folder: Path, row: dict[str, Any]) -> Market:
    try:
        condition_id = str(row["market_id"])
        payouts = (row["payout_up"], row["payout_down"])
        up, down = (None if value is None else round(value * MICROS) for value in payouts)
        if len(bytes.fromhex(condition_id.removeprefix("0x"))) != 32:
            raise ValueError(f"a condition id is 32 bytes: {condition_id}")
        timeframe, asset = str(row["timeframe"]), str(row["slug"]).partition("-")[0]
        generation = Generation(row.get("generation", Generation.V2))
        return Market(
            slug=str(row["slug"]),
            condition_id=condition_id.lower(),
            question=str(row["question"]),
            tokens=_tokens(condition_id.lower(), generation),
            start_ms=int(row["start_ts"]),
            end_ms=int(row["end_ts"]),
            outcomes=(str(row["outcome_up"]), str(row["outcome_down"])),
            payouts=None if up is None or down is None else (up, down),
            series=f"{asset}-up-or-down-{timeframe}",
            generation=generation,
            neg_risk=bool(row.get("neg_risk", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RefuseError(
            f"recording has a malformed market: folder={folder}, slug={row.get('slug')}, {error}"
        ) from None


def _tokens(condition_id: str, generation: int) -> tuple[int, int]:
    """Return a market's token ids; of generation 3 they are the condition id and an outcome."""
    if generation < Generation.V3:
        return derive_tokens(condition_id)
    up = int(condition_id, 16)
    for token in (up, up + 1):
        decode_position_id(token)
    return up, up + 1


def _first_markets(recording: Recording, markets_max: int | None) -> Recording:
    if markets_max is None or markets_max >= len(recording.markets):
        return recording
    keep = recording.market < markets_max
    return Recording(
        recording.markets[:markets_max],
        recording.times_ms[keep],
        recording.market[keep],
        recording.outcome[keep],
        recording.source[keep],
        recording.bids,
        recording.asks,
    )
