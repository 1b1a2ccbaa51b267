"""A venue that sends the feeds away: the other address never hears of us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from feeds_venue import ACCOUNT, FeedProcess, Venue, run_file

from engine.host.secrets import send_secrets
from feeds.port import Unreachable
from feeds.rest import Rest

pytestmark = pytest.mark.slow

REDIRECTS = (301, 302, 303, 307, 308)


class Elsewhere:
    """Another host, which answers everything and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        app = web.Application()
        app.add_routes([web.route("*", "/{path:.*}", self._answer)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.json_response([])


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    """The other host."""
    each = Elsewhere()
    await each.start()
    yield each
    await each.stop()


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """The venue, on loopback."""
    each = Venue()
    await each.start()
    yield each
    await each.stop()


@pytest.mark.parametrize("status", REDIRECTS)
async def test_no_question_follows_a_redirect(venue: Venue, elsewhere: Elsewhere, status: int):
    """Whatever its status, a redirect is an answer of no use, named as such."""
    venue.away = status, "/", elsewhere.url
    rest = Rest(venue.urls["rest_url"])
    with pytest.raises(Unreachable, match=f"status={status}"):
        await rest.get("/data/orders", None, {"POLY_PASSPHRASE": "secret"})
    await rest.close()
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("path", "counter"),
    [
        ("/gamma", "gamma_errors"),
        ("/data", "readback_errors"),
        ("/balance", "readback_errors"),
        ("/ws/user", "user_connect_errors"),
        ("/ws/market", "connect_errors"),
    ],
)
async def test_no_client_of_the_feeds_is_sent_away(
    tmp_path: Path, venue: Venue, elsewhere: Elsewhere, path: str, counter: str
):
    """Gamma, the account's routes and both sockets: an error here, and no request there."""
    venue.away = 307, path, elsewhere.url
    feed = FeedProcess(run_file(tmp_path, venue.urls))
    await feed.start()
    await feed.until(lambda: feed.counters().get(counter, 0) > 0)
    assert await feed.stop() == (0, "")
    assert elsewhere.asked == []


HIDDEN = """
import ctypes, resource, sys
import feeds.__main__
code = feeds.__main__.main(sys.argv[1:])
print(code, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_process_with_secrets_can_be_read_by_no_debugger(tmp_path: Path):
    """Before it reads a secret it is not dumpable (PR_GET_DUMPABLE is 0) and leaves no core."""
    descriptor = send_secrets(ACCOUNT)
    runtime = run_file(tmp_path, {})
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-c", HIDDEN),
                *("chain", str(runtime.runtime_dir), "--secrets-fd", str(descriptor)),
            ],
            pass_fds=[descriptor],
            capture_output=True,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
            check=True,
        )
    finally:
        os.close(descriptor)
    assert done.stdout.split() == ["78", "0", "0", "0"]
