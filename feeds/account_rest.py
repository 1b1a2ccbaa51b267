"""Questions about our own account by REST: signed with the API credentials, page by page."""

from __future__ import annotations

from typing import Any

from engine.host.secrets import Account
from feeds.l2 import l2_headers
from feeds.port import Context, MalformedFrame
from feeds.rest import Rest

PAGES_MAX = 2_000  # of a hundred and more each: years of trades
REQUEST_TIMEOUT_S = 3.0  # whole answers: a venue that sends a byte a second has not answered
LAST_CURSOR = "LTE="


class AccountRest:
    """The account's side of the venue's REST. Made and used inside the loop."""

    def __init__(self, context: Context, account: Account) -> None:
        self._clock = context.clock
        self._account = account
        self._rest = Rest(context.venue["rest_url"], REQUEST_TIMEOUT_S)

    async def get(self, path: str, parameters: dict[str, str]) -> Any:
        """Return the decoded answer, None for 404; raises Unreachable."""
        timestamp_s = self._clock.now_ns() // 1_000_000_000
        headers = l2_headers(self._account, "GET", path, timestamp_s)
        return await self._rest.get(path, parameters, headers)

    async def pages(self, path: str, parameters: dict[str, str]) -> list[Any]:
        """Return all objects of a paged answer, or of a plain list.

        Raises MalformedFrame for a page that is none, or pages without end.
        """
        found: list[Any] = []
        for _ in range(PAGES_MAX):
            page = await self.get(path, parameters)
            if isinstance(page, list):
                return found + page
            if not isinstance(page, dict) or not isinstance(page.get("data"), list):
                raise MalformedFrame(f"page refused: path={path}, type={type(page).__name__}")
            found += page["data"]
            cursor = page.get("next_cursor")
            if not isinstance(cursor, str) or cursor in ("", LAST_CURSOR):
                return found
            if cursor == parameters.get("next_cursor"):
                raise MalformedFrame(f"page names itself as the next: path={path}")
            parameters = {**parameters, "next_cursor": cursor}
        raise MalformedFrame(
            f"pages without end: path={path}, pages={PAGES_MAX}. Nothing opens before all are "
            "read: use an account that has fewer, or raise PAGES_MAX in feeds/account_rest.py"
        )

    async def close(self) -> None:
        """Close the kept connections."""
        await self._rest.close()
