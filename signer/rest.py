"""One HTTP request at a time, blocking: for commands, never for a process that trades."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from engine.host.errors import HostError
from signer.request_writer import USER_AGENT

ANSWER_BYTES_MAX = 1 << 20
TIMEOUT_S = 5.0


class RestError(HostError):
    """Nobody answered; the message names the URL and the kind of failure, and no header."""


class Reply(NamedTuple):
    """An answer. content: its JSON, None if it is none. The stamps are epoch nanoseconds."""

    status: int
    content: Any
    body: bytes
    sent_ns: int
    answered_ns: int

    def field(self, name: str) -> Any:
        """Return a field of a JSON object, None if it is absent or this is no object."""
        return self.content.get(name) if isinstance(self.content, dict) else None


class RestClient:
    """Requests below one base URL. Certificates are verified."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """ValueError for anything but an http or https URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a venue is an http or https URL: url={url}")
        self.url = url.rstrip("/")
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s

    def get(self, path: str, query: str = "", headers: Mapping[str, str] | None = None) -> Reply:
        """Return the answer to a GET. query: without the question mark."""
        return self.call("GET", f"{path}?{query}" if query else path, b"", headers)

    def post(self, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Return the answer to a POST of JSON."""
        return self.call("POST", path, body, headers)

    def call(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str] | None
    ) -> Reply:
        """Return the answer to any request; RestError where there is none."""
        connect = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        connection = connect(self._host, self._port, timeout=self._timeout_s)
        fixed = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if body:
            fixed["Content-Type"] = "application/json"
        try:
            connection.connect()
            sent_ns = time.time_ns()
            connection.request(
                method, self._prefix + target, body or None, {**fixed, **(headers or {})}
            )
            response = connection.getresponse()
            answered_ns = time.time_ns()
            text = response.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, ValueError) as error:
            kind = type(error).__name__
            where = f"{self.url}{target.partition('?')[0]}"
            raise RestError(f"no answer: url={where}, error={kind}") from None
        finally:
            connection.close()
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError:
            content = None
        return Reply(response.status, content, text, sent_ns, answered_ns)
