"""Cancelling everything at the venue without the signer: the supervisor's last resort.

The API credentials are enough for it, and for nothing that could move funds. An answer is believed
where it names orders, and an empty list where it comes twice:

```
GET /data/orders      what is open
DELETE /cancel-all    an object with `canceled`, or it is no answer
GET /data/orders      empty ...
GET /data/order/ID    ... and each order that was open and not named as canceled has ended
GET /data/orders      empty still, a moment later
```
No redirect is followed: the credentials are for the venue alone.
"""

from __future__ import annotations

import http.client
import time
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from engine.host.errors import HostError
from engine.host.secrets import Account
from engine.host.venue_cancel import Attempt
from signer.auth import ApiCredentials, L2Signer

CANCEL_ALL, OPEN_ORDERS, ORDER = "/cancel-all", "/data/orders", "/data/order/"
ANSWER_BYTES_MAX = 1 << 22
PAGES_MAX = 100
LAST_PAGE = "LTE="
SECOND_LOOK_S = 0.25
_ENDED = ("canceled", "matched", "invalid")  # the venue's words after `ORDER_STATUS_`, or alone


class _Canceled(msgspec.Struct):
    canceled: list[str]  # an object without it says nothing
    not_canceled: dict[str, Any] = {}


class _Order(msgspec.Struct):
    id: str
    status: str = ""


class _Page(msgspec.Struct):
    data: list[_Order]
    next_cursor: str = LAST_PAGE


_Answer = TypeVar("_Answer", _Canceled, _Order, _Page)


def cancel_all(account: Account, rest_url: str, *, timeout_s: float = 3.0) -> CancelEverything:
    """Return what cancels every order of an account; call it until it has evidence."""
    return CancelEverything(account, rest_url, timeout_s)


class CancelEverything:
    """One cancel of everything, over as many tries as it takes."""

    def __init__(self, account: Account, rest_url: str, timeout_s: float) -> None:
        api = ApiCredentials(account.api.key, account.api.secret, account.api.passphrase)
        self._l2 = L2Signer(api, account.address)
        self._rest_url = rest_url
        self._timeout_s = timeout_s
        self._seen: set[str] = set()  # was listed as open
        self._ended: set[str] = set()  # was named as canceled, or looked up and found to have ended

    def __call__(self) -> Attempt:
        """Try once; return what it has shown.

        Raises HostError when the venue cannot be reached or its answer cannot be read; neither the
        message nor its cause holds a credential.
        """
        self._list_open()
        answer = self._ask("DELETE", CANCEL_ALL, _Canceled)
        self._ended.update(answer.canceled)
        listed = self._list_open()
        if not listed:
            self._look_up()
            time.sleep(SECOND_LOOK_S)  # a list may lag behind, and one may be empty for a moment
            listed = self._list_open()
        if listed:
            return Attempt(False, tuple(sorted(listed)), "the venue lists open orders")
        unseen = tuple(sorted(self._seen - self._ended))
        if unseen:
            return Attempt(False, unseen, "the venue does not say that they have ended")
        return Attempt(True)

    def _list_open(self) -> set[str]:
        found: set[str] = set()
        cursor = ""
        for _ in range(PAGES_MAX):
            query = f"?next_cursor={quote(cursor)}" if cursor else ""
            page = self._ask("GET", OPEN_ORDERS, _Page, query)
            found |= {order.id for order in page.data}
            cursor = page.next_cursor
            if cursor in ("", LAST_PAGE):
                self._seen |= found
                self._ended -= found  # it is listed as open, whatever was said before
                return found
        raise HostError(f"open orders have too many pages: url={self._rest_url}, pages={PAGES_MAX}")

    def _look_up(self) -> None:
        for order_id in sorted(self._seen - self._ended):
            order = self._ask("GET", ORDER + quote(order_id, safe=""), _Order)
            word = order.status.lower().removeprefix("order_status_")
            if order.id == order_id and word.startswith(_ENDED):
                self._ended.add(order_id)

    def _ask(self, method: str, route: str, kind: type[_Answer], query: str = "") -> _Answer:
        """Return the venue's answer to a request; the query is no part of what is signed."""
        url = urlsplit(self._rest_url)
        is_tls = url.scheme == "https"
        connect = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
        connection = connect(url.hostname or "", url.port, timeout=self._timeout_s)
        what = f"{method} {route}: url={self._rest_url}"
        try:
            headers = self._l2.headers(int(time.time()), method, route)
            connection.request(method, url.path.rstrip("/") + route + query, headers=headers)
            response = connection.getresponse()
            text = response.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise HostError(f"did not get through: {what}, {type(error).__name__}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise HostError(f"was refused: {what}, status={response.status}")
        try:
            return msgspec.json.decode(text, type=kind)
        except ValueError:  # not JSON, not UTF-8, or another thing than was asked for
            raise HostError(f"has no readable answer: {what}") from None
