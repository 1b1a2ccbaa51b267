"""Whole HTTP requests as bytes: everything that never changes is encoded once.

The L2 signature is made over the same body bytes that are sent.
"""

from __future__ import annotations

from signer.auth import L2Signer
from signer.http import Endpoint

USER_AGENT = "halftick/0.1"  # the venue's edge refuses anonymous agents


class RouteWriter:
    """Requests of one method and route."""

    __slots__ = ("_head", "_l2", "_message")

    def __init__(self, endpoint: Endpoint, l2: L2Signer, method: str, route: str) -> None:
        self._l2 = l2
        self._message = b"%d" + f"{method}{route}".replace("%", "%%").encode() + b"%b"
        fixed = (
            f"{method} {endpoint.prefix}{route} HTTP/1.1\r\n"
            f"Host: {endpoint.authority}\r\n"
            f"User-Agent: {USER_AGENT}\r\n"
            "Accept: application/json\r\n"
            "Content-Type: application/json\r\n"
            f"POLY_ADDRESS: {l2.address}\r\n"
            f"POLY_API_KEY: {l2.credentials.key}\r\n"
            f"POLY_PASSPHRASE: {l2.credentials.passphrase}\r\n"
        )
        self._head = fixed.replace("%", "%%").encode() + (
            b"POLY_TIMESTAMP: %d\r\nPOLY_SIGNATURE: %b\r\nContent-Length: %d\r\n\r\n%b"
        )

    def write(self, body: bytes, timestamp_s: int) -> bytes:
        """Return the request's bytes. Hot path."""
        signature = self._l2.sign(self._message % (timestamp_s, body))
        return self._head % (timestamp_s, signature, len(body), body)


class RequestWriter:
    """The requests a signer makes; `now_s` are the venue's seconds."""

    __slots__ = ("_cancel", "_cancel_all", "_endpoint", "_l2", "order")

    def __init__(self, endpoint: Endpoint, l2: L2Signer) -> None:
        """order(body, now_s): `POST /order`. Hot path, so it has no method around it."""
        self._endpoint = endpoint
        self._l2 = l2
        self.order = RouteWriter(endpoint, l2, "POST", "/order").write
        self._cancel = RouteWriter(endpoint, l2, "DELETE", "/order")
        self._cancel_all = RouteWriter(endpoint, l2, "DELETE", "/cancel-all")

    def cancel(self, order_hash: bytes, now_s: int) -> bytes:
        """`DELETE /order` of one order. Hot path."""
        return self._cancel.write(b'{"orderID":"0x%b"}' % order_hash.hex().encode(), now_s)

    def cancel_all(self, now_s: int) -> bytes:
        """`DELETE /cancel-all`."""
        return self._cancel_all.write(b"", now_s)

    def look_up(self, order_hash: bytes, now_s: int) -> bytes:
        """`GET /data/order/{id}`."""
        route = f"/data/order/0x{order_hash.hex()}"
        return RouteWriter(self._endpoint, self._l2, "GET", route).write(b"", now_s)

    def time(self) -> bytes:
        """`GET /time`, which needs no authentication."""
        return (
            f"GET {self._endpoint.prefix}/time HTTP/1.1\r\nHost: {self._endpoint.authority}\r\n"
            f"User-Agent: {USER_AGENT}\r\n\r\n"
        ).encode()
