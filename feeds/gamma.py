"""Which markets there are and how they fare: polls Gamma, announces INSTRUMENT and STATUS.

Markets come by slug and by series. The market channel may never say that a market has ended, so
Gamma is asked about every market that is not resolved, on and on; of what it says, only changes are
announced, and never backwards: a market that was closed once does not open again. Markets no
setting names are adopted where the account has traded them: what earlier runs have left is at risk.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.wire.codes import Source
from feeds.gamma_market import is_resolved, names_token, parse_market
from feeds.instruments import (
    UNRESOLVED,
    Instrument,
    Instruments,
    Market,
    instrument_rows,
    status_row,
)
from feeds.port import Context, FeedError, MarketRefused, Publisher, Unreachable
from feeds.rest import Rest

COUNTERS = (
    "gamma_polls",
    "gamma_errors",
    "markets",
    "markets_refused",
    "tokens_resolved",
    "tokens_unlisted",
    "venue_reachable",
)
PAGE_MARKETS = 100
PAGES_MAX = 50
REFUSED_MAX = 1_000
TOKENS_PER_QUESTION = 20  # 80 digits each: what a URL holds
JITTER = 0.2


class GammaFeed:
    """Discovers the markets of `[markets]` and follows them to their end."""

    name = "gamma"

    def __init__(
        self,
        context: Context,
        instruments: Instruments,
        publisher: Publisher,
        runtime_dir: Path,
        *,
        indices_max: int,
        luck: Callable[[], float] = random.random,
    ) -> None:
        """indices_max: how many instruments the core has room for.  luck: uniform in [0, 1)."""
        self._context = context
        self._instruments = instruments
        self._publisher = publisher
        self._runtime_dir = runtime_dir
        self._indices_max = indices_max
        self._luck = luck
        self._slugs = list(context.markets["slugs"])
        self._series_ids = [str(each) for each in context.markets["series_ids"]]
        self._refused: set[str] = set()
        self._resolved = 0
        self._announced = 0
        self._failures = 0
        self._rest: Rest | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to poll; the loop is running."""
        self._rest = Rest(self._context.venue["gamma_url"])
        self._task = asyncio.get_running_loop().create_task(self._run(self._rest), name=self.name)

    def work(self) -> int:
        """Return the records announced since the last round; a programmer's error surfaces here."""
        if self._task is not None and self._task.done():
            self._task.result()
        announced, self._announced = self._announced, 0
        return announced

    def close(self) -> None:
        """Stop polling."""
        if self._task is not None and self._rest is not None:
            self._task.cancel()
            self._task.get_loop().create_task(self._rest.close())

    def repeat(self, *, to_new_core: bool) -> None:  # noqa: ARG002
        """Announce every market again as it is now, its ticks and its end included."""
        for pair in self._instruments.pairs():
            self._announce(pair)
            for each in pair:
                self._publish(
                    status_row(
                        each.index,
                        each.status,
                        source=Source.GAMMA,
                        local_ns=self._context.clock.now_ns(),
                        payout=each.payout,
                    )
                )

    async def adopt(self, token_ids: set[str]) -> set[str]:
        """List the markets of some tokens; return those of markets that are over: not listed.

        A token that is in the registry afterwards is listed; one that is neither is counted and
        named in the error log, and may be asked about again.
        """
        assert self._rest is not None, "started"
        wanted = sorted(each for each in token_ids if self._instruments.find(each) is None)
        resolved: set[str] = set()
        for first in range(0, len(wanted), TOKENS_PER_QUESTION):
            part = wanted[first : first + TOKENS_PER_QUESTION]
            try:
                found = await _by_tokens(self._rest, part)
            except Unreachable as error:
                self._context.count("gamma_errors")
                self._context.errors.record(self.name, error)
                break
            over = [raw for raw in found if is_resolved(raw)]
            resolved |= {each for each in part if any(names_token(raw, each) for raw in over)}
            self._accept([raw for raw in found if raw not in over], is_adopted=True)
        unlisted = [t for t in wanted if t not in resolved and self._instruments.find(t) is None]
        for token_id in unlisted:
            self._context.errors.record(
                self.name,
                MarketRefused(
                    f"no market is known of a token the account traded: token={token_id}"
                ),
            )
        self._resolved += len(resolved)
        self._set("tokens_resolved", self._resolved)
        self._set("tokens_unlisted", len(unlisted))
        return resolved

    async def _run(self, rest: Rest) -> None:
        settings = self._context.settings
        while True:
            try:
                await self._poll(rest)
            except Unreachable as error:
                self._failures += 1
                self._context.count("gamma_errors")
                self._set("venue_reachable", 0)
                self._context.log.event("gamma does not answer", reason=str(error))
                bound_ms = min(
                    float(settings["reconnect_ms_max"]),
                    float(settings["reconnect_ms_min"]) * 2.0 ** min(self._failures, 32),
                )
                wait_ms = max(float(settings["reconnect_ms_min"]), self._luck() * bound_ms)
            else:
                self._failures = 0
                self._set("venue_reachable", 1)
                wait_ms = float(settings["gamma_poll_ms"])
                wait_ms *= 1 + JITTER * (2 * self._luck() - 1)
            await asyncio.sleep(wait_ms / 1000)

    async def _poll(self, rest: Rest) -> None:
        """Ask once about everything that is not settled yet."""
        for slug in self._slugs:
            if not self._is_settled(slug):
                self._accept(await _by_slug(rest, slug))
        listed = {*self._slugs}
        for series_id in self._series_ids:
            found = await _by_series(rest, series_id)
            listed |= {str(raw.get("slug")) for raw in found}
            self._accept(found)
        # A series lists open markets only: those that have left the list are asked for by name.
        for slug in sorted({each.market.slug for each in self._instruments} - listed):
            if not self._is_settled(slug):
                self._accept(await _by_slug(rest, slug))
        self._context.count("gamma_polls")

    def _is_settled(self, slug: str) -> bool:
        own = [each for each in self._instruments if each.market.slug == slug]
        return bool(own) and all(each.is_resolved for each in own)

    def _accept(self, found: Iterable[Any], *, is_adopted: bool = False) -> None:
        """Announce what is new in some market objects."""
        is_new = False
        for raw in found:
            try:
                market = parse_market(raw)
                known = self._instruments.of(market.condition_id)
                if known is None:
                    known = self._admit(market, is_adopted)
                    is_new = True
            except MarketRefused as error:
                self._refuse(error)
                continue
            self._announce_status(known, market)
        if is_new:
            self._instruments.save(self._runtime_dir)

    def _admit(self, market: Market, is_adopted: bool) -> tuple[Instrument, Instrument]:
        taken = [token for token in market.tokens if self._instruments.find(token)]
        if taken:
            raise MarketRefused(f"token of another market: slug={market.slug}, token={taken[0]}")
        if len(self._instruments) + 2 > self._indices_max:
            raise MarketRefused(
                f"no room for another market: slug={market.slug}, instruments={self._indices_max}"
            )
        pair = self._instruments.add(market, is_adopted=is_adopted)
        self._announce(pair)
        self._set("markets", len(self._instruments) // 2)
        self._context.log.event(
            "market adopted" if is_adopted else "market",
            slug=market.slug,
            index=pair[0].index,
            generation=market.generation,
        )
        return pair

    def _announce(self, pair: tuple[Instrument, Instrument]) -> None:
        ticks = self._instruments.tick(pair[0].index), self._instruments.tick(pair[1].index)
        self._publish(instrument_rows(pair, ticks, self._context.clock.now_ns()))

    def _refuse(self, error: FeedError) -> None:
        """Count and log a refused market once, not at every poll."""
        if len(self._refused) < REFUSED_MAX and str(error) not in self._refused:
            self._refused.add(str(error))
            self._set("markets_refused", len(self._refused))
            self._context.errors.record(self.name, error)

    def _announce_status(self, pair: tuple[Instrument, Instrument], market: Market) -> None:
        """Announce the market's status where it has moved on."""
        for instrument in pair:
            payout = market.payouts[instrument.outcome] if market.payouts else UNRESOLVED
            if market.status > instrument.status:
                self._publish(
                    status_row(
                        instrument.index,
                        market.status,
                        source=Source.GAMMA,
                        local_ns=self._context.clock.now_ns(),
                        payout=payout,
                    )
                )
                self._instruments.set_status(instrument.index, market.status, payout)
            elif market.payouts and payout != instrument.payout:
                self._refuse(
                    MarketRefused(
                        f"payouts contradict: slug={market.slug}, index={instrument.index}, "
                        f"known={instrument.payout}, gamma={payout}"
                    )
                )

    def _publish(self, rows: np.ndarray) -> None:
        self._publisher.publish(rows)
        self._announced += len(rows)

    def _set(self, name: str, value: int) -> None:
        self._context.counters.set(self._context.counters.index(name), value)


async def _by_slug(rest: Rest, slug: str) -> list[Any]:
    """Return the market of a slug, open or closed: closed ones must be asked for expressly."""
    parameters = {"slug": slug}
    return _markets(await rest.get("/markets", parameters)) or _markets(
        await rest.get("/markets", {**parameters, "closed": "true"})
    )


async def _by_tokens(rest: Rest, token_ids: Sequence[str]) -> list[Any]:
    """Return the markets of some tokens, open or closed; a directory may answer with others."""
    found: list[Any] = []
    for closed in ("false", "true"):
        missing = [each for each in token_ids if not any(names_token(raw, each) for raw in found)]
        if missing:
            named = [("clob_token_ids", each) for each in missing]
            limit = ("limit", str(PAGE_MARKETS))
            page = _markets(await rest.get("/markets", [*named, ("closed", closed), limit]))
            found += [raw for raw in page if any(names_token(raw, each) for each in missing)]
    return found


async def _by_series(rest: Rest, series_id: str) -> list[Any]:
    """Return the markets of a series' open events, page by page."""
    parameters = {"series_id": series_id, "closed": "false", "limit": str(PAGE_MARKETS)}
    found: list[Any] = []
    for _ in range(PAGES_MAX):
        page = await rest.get("/events/keyset", parameters)
        for event in _objects(page, "events"):
            found += _objects(event.get("markets"), "markets")
        cursor = page.get("next_cursor") if isinstance(page, dict) else None
        if not isinstance(cursor, str) or not cursor:
            break
        parameters["after_cursor"] = cursor
    return found


def _markets(page: Any) -> list[Any]:
    return _objects(page, "markets")


def _objects(page: Any, name: str) -> list[Any]:
    """Return the JSON objects of a page: a plain list, or one under `name` or "data"."""
    if isinstance(page, dict):
        page = page.get(name, page.get("data"))
    return [each for each in page if isinstance(each, dict)] if isinstance(page, list) else []
