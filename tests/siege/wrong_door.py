"""A listener that redirects lead to: it must never get a request, so it counts them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WrongDoor:
    """Listens on a free port of loopback and answers 404 to everything."""

    def __init__(self) -> None:
        door = self
        self.requests = 0

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                if self.rfile.readline():
                    door.requests += 1
                self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
