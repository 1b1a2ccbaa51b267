"""Clients that ask one thing at a time: a redirect is an answer, and is never followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from signer import api_keys
from signer.doctor import venue_checks
from signer.doctor.findings import Level
from signer.ecdsa import SigningKey
from signer.rest import RestClient

pytestmark = pytest.mark.slow

KEY = SigningKey.from_hex("42" * 32)
STATUSES = [301, 302, 303, 307, 308]


class Host:
    """A host that answers everything alike and notes what it was asked."""

    def __init__(self, status: int, location: str = "") -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def running(host: Host) -> Iterator[Host]:
    """The host, answering."""
    thread = threading.Thread(target=host.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.server.shutdown()
        host.server.server_close()
        thread.join()


@pytest.fixture(params=STATUSES)
def hosts(request: pytest.FixtureRequest) -> Iterator[tuple[Host, Host]]:
    """A host that sends everybody away, and the one it names."""
    with running(Host(200)) as other, running(Host(request.param, other.url + "/x")) as host:
        yield host, other


def test_a_wallets_signature_is_not_sent_to_another_host(hosts: tuple[Host, Host]) -> None:
    """Neither a new key set nor an old one is asked for anywhere else; both are errors."""
    host, other = hosts
    client = RestClient(host.url)
    for obtain in (api_keys.create, api_keys.derive, api_keys.create_or_derive):
        with pytest.raises(api_keys.ApiKeyError, match="status=30"):
            obtain(client, KEY, 137)
    assert len(host.asked) == 3
    assert other.asked == []


def test_credentials_are_not_sent_to_another_host(hosts: tuple[Host, Host]) -> None:
    """The reply is the redirect itself, whatever the method."""
    host, other = hosts
    client = RestClient(host.url)
    headers = {"POLY_API_KEY": "key", "POLY_PASSPHRASE": "phrase"}
    for method in ("GET", "POST", "DELETE"):
        reply = client.call(method, "/data/orders", b"", headers)
        assert reply.status in STATUSES
        assert reply.content is None
    assert len(host.asked) == 3
    assert other.asked == []


def test_the_doctor_finds_nothing_out_by_a_redirect(hosts: tuple[Host, Host]) -> None:
    """The venue's version is a failure, the geoblock is not checked."""
    host, other = hosts
    (version,) = venue_checks.order_version(RestClient(host.url))
    (geoblock,) = venue_checks.geoblock(host.url)
    assert (version.level, geoblock.level) == (Level.FAIL, Level.NOT_CHECKED)
    assert other.asked == []
