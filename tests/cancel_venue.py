"""A venue that knows how to cancel everything, and how to only seem to."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OPEN = ("0x01", "0x02", "0x03")


class Venue(ThreadingHTTPServer):
    """Orders of one account, and what the venue answers about them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.open = set(OPEN)
        self.statuses: dict[str, str] = dict.fromkeys(OPEN, "LIVE")
        self.answer: Any = None  # to DELETE /cancel-all; None = does it and names the orders
        self.does_cancel = True
        self.hidden_lists = 0  # how many lists of open orders come empty
        self.page_size = 2
        self.status = 200
        self.location = ""
        self.asked: list[str] = []
        self.is_mute = threading.Event()  # accepts, and does not answer until it is heard again
        self.is_heard = threading.Event()

    @classmethod
    @contextlib.contextmanager
    def serving(cls) -> Iterator[Venue]:
        """Return a venue that answers until the block ends."""
        with cls() as venue:
            thread = threading.Thread(target=venue.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield venue
            finally:
                venue.shutdown()
                thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def cancel(self) -> Any:
        named = sorted(self.open)
        if self.does_cancel:
            self.statuses.update(dict.fromkeys(named, "ORDER_STATUS_CANCELED"))
            self.open.clear()
        return {"canceled": named, "not_canceled": {}} if self.answer is None else self.answer

    def page(self, cursor: str) -> Any:
        if self.hidden_lists:
            self.hidden_lists -= 1
            return {"data": [], "next_cursor": "LTE="}
        first = int(cursor or 0)
        rows = [{"id": each, "status": "LIVE"} for each in sorted(self.open)]
        is_last = first + self.page_size >= len(rows)
        following = "LTE=" if is_last else str(first + self.page_size)
        return {"data": rows[first : first + self.page_size], "next_cursor": following}


class Desk(BaseHTTPRequestHandler):
    """Answers for the venue."""

    server: Venue

    def do_GET(self) -> None:
        """Lists and look-ups."""
        self.server.asked.append(self.path)
        route, _, query = self.path.partition("?")
        if self.server.is_mute.is_set():
            self.close_connection = not self.server.is_heard.wait(30.0)
        if route == "/ok":
            self._answer("OK")
        elif route == "/data/orders":
            self._answer(self.server.page(query.removeprefix("next_cursor=")))
        else:
            order_id = route.rpartition("/")[2]
            self._answer({"id": order_id, "status": self.server.statuses[order_id]})

    def do_DELETE(self) -> None:
        """Cancel everything."""
        self.server.asked.append(self.path)
        self._answer(self.server.cancel())

    def _answer(self, content: Any) -> None:
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked may have gone meanwhile
            self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
