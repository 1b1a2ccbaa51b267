"""Cold REST questions to the venue: bounded in time and size, JSON or nothing.

Only the reading side: nothing here can change anything at the venue, so every question may simply
be asked again. No redirect is followed: the headers of a question are meant for this host alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from feeds.port import Unreachable

ANSWER_BYTES_MAX = 16 * 1024 * 1024
REQUEST_TIMEOUT_S = 10.0
USER_AGENT = "halftick"  # the venue's edge refuses the default agents of some libraries


class Rest:
    """GET requests to one base URL over kept connections. Made and used inside the loop."""

    def __init__(self, base_url: str, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s), headers={"User-Agent": USER_AGENT}
        )

    async def get(
        self,
        path: str,
        parameters: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the decoded JSON answer; None for 404 ("not found" is no evidence of anything).

        Raises Unreachable, naming the URL, for everything else that is not a 200 with JSON.
        """
        url = self.base_url + path
        try:
            async with self._session.get(
                url, params=parameters, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while len(body) <= ANSWER_BYTES_MAX and (
                    more := await answer.content.read(ANSWER_BYTES_MAX + 1 - len(body))
                ):
                    body += more
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"no answer: url={url}, reason={reason}") from None
        if answer.status == 404:
            return None
        if answer.status != 200 or len(body) > ANSWER_BYTES_MAX:
            raise Unreachable(
                f"answer refused: url={url}, status={answer.status}, bytes={len(body)}"
            )
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8
            raise Unreachable(f"answer is not JSON: url={url}, reason={error}") from None

    async def close(self) -> None:
        """Close the kept connections."""
        await self._session.close()
