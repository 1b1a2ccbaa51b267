"""A token that falls quiet while others move: is its book still the venue's?

A subscription can die alone on a live socket. So a token without news for a while, though some
other had some, is asked about by REST; if the best prices differ from its last claim and nothing
came meanwhile, its book is not believed any more. A book that is merely quiet costs one question
now and then, and the REST book corrects nothing: it may itself be stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from feeds.numbers import MICROS, micros
from feeds.port import Context, Unreachable
from feeds.rest import Rest
from feeds.token_table import CLAIM, HEARD_NS, TokenTable

COUNTERS = ("book_checks", "book_check_errors", "book_check_misses")
QUIET_MS = 5_000
LOOKS_PER_QUIET = 5


class QuietWatch:
    """Looks for quiet tokens, one question at a time."""

    def __init__(
        self, context: Context, table: TokenTable, suspect: Callable[[list[int]], None]
    ) -> None:
        """suspect: told the instruments whose books are not the venue's."""
        self._context = context
        self._table = table
        self._suspect = suspect
        self._quiet_ns = int(context.settings.get("quiet_ms", QUIET_MS)) * 1_000_000
        self._asked_ns: dict[int, int] = {}
        self._due_ns = 0
        self._rest: Rest | None = None
        self._task: asyncio.Task[None] | None = None

    def look(self, open_tokens: Callable[[], Mapping[int, str]], now_ns: int) -> None:
        """Ask about the quietest token, if one is too quiet.

        open_tokens: gives instrument -> token id of what should have news.
        """
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + self._quiet_ns // LOOKS_PER_QUIET
        if self._task is not None:
            if not self._task.done():
                return
            self._task.result()
            self._task = None
        tokens = open_tokens()
        heard = {index: int(self._table.rows[index, HEARD_NS]) for index in tokens}
        for index in tokens:
            self._asked_ns.setdefault(index, now_ns)  # a new token may take its time
        latest_ns = max(heard.values(), default=0)
        if now_ns - latest_ns > self._quiet_ns:
            return  # nobody moves: the watch over the whole socket is for that
        index = min(heard, key=lambda each: max(heard[each], self._asked_ns[each]))
        if latest_ns - max(heard[index], self._asked_ns[index]) > self._quiet_ns:
            self._asked_ns[index] = now_ns
            self._task = asyncio.get_running_loop().create_task(
                self._compare(index, tokens[index]), name="quiet"
            )

    def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
        if self._rest is not None:
            asyncio.get_running_loop().create_task(self._rest.close())

    async def _compare(self, index: int, token_id: str) -> None:
        self._rest = self._rest or Rest(self._context.venue["rest_url"])
        before = self._table.rows[index, [HEARD_NS, CLAIM]].tolist()
        try:
            touch = _touch(await self._rest.get("/book", {"token_id": token_id}))
        except (Unreachable, ValueError) as error:
            self._context.count("book_check_errors")
            self._context.errors.record("quiet", error)
            return
        self._context.count("book_checks")
        after = self._table.rows[index, [HEARD_NS, CLAIM]].tolist()
        if before == after and touch is not None and touch[0] | touch[1] << 32 != after[1]:
            self._context.count("book_check_misses")
            self._suspect([index])


def _touch(answer: Any) -> tuple[int, int] | None:
    """Return best bid and ask of a REST book in micros, None where the venue has no such book."""
    if answer is None:
        return None
    try:
        bids, asks = (
            [micros(each["price"]) for each in answer[side] if micros(each["size"])]
            for side in ("bids", "asks")
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a book: {type(error).__name__} {error}") from None
    return max(bids, default=0), min(asks, default=MICROS)
