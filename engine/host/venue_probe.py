"""Whether the local exchange still answers: asked once a second, in a thread, on loopback.

A process that hangs has a socket that still accepts, so only an answer is a sign of life; which one
does not matter, for the exchange may refuse on purpose.
"""

from __future__ import annotations

import errno
import http.client
import threading
import time
from urllib.parse import urlsplit

PERIOD_S = 1.0
TIMEOUT_S = 2.0
_OUR_OWN = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}  # says nothing of the exchange


class VenueProbe:
    """Asks `GET /ok` until it is closed."""

    def __init__(self, rest_url: str) -> None:
        """Begin."""
        self._url = urlsplit(rest_url)
        self._silent_since_s: float | None = None
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="venue probe", daemon=True)
        self._thread.start()

    @property
    def silence_ms(self) -> int:
        """For how long it has been asked and has not answered."""
        since_s = self._silent_since_s
        return 0 if since_s is None else int((time.monotonic() - since_s) * 1_000)

    def close(self) -> None:
        """Ask no more; a second call does nothing."""
        self._is_closed.set()
        self._thread.join(2 * TIMEOUT_S)

    def _run(self) -> None:
        while not self._is_closed.wait(PERIOD_S):
            if self._is_answered():
                self._silent_since_s = None
            elif self._silent_since_s is None:  # from the end of a try: we may have stood still
                self._silent_since_s = time.monotonic()

    def _is_answered(self) -> bool:
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port, timeout=TIMEOUT_S
        )
        try:
            connection.request("GET", self._url.path.rstrip("/") + "/ok")
            connection.getresponse()
        except OSError as error:
            return error.errno in _OUR_OWN
        except http.client.HTTPException:
            return False
        finally:
            connection.close()
        return True
