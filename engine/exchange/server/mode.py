"""The venue's mode from outside: where it may trade from, and the control that changes it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.exchange.schedule import Schedule
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.venue_mode import POST_ONLY_MS, RESTART_MS, Trading, VenueMode

SET_KEYS = {"trading", "retry_after_s", "geoblocked", "closed_only", "banned"}
RESTART_KEYS = {"restart", "down_ms", "post_only_ms"}


class ModeRoutes:
    """Shows and sets one venue's mode."""

    __slots__ = ("_mode", "_schedule")

    def __init__(self, mode: VenueMode, schedule: Schedule) -> None:
        self._mode = mode
        self._schedule = schedule

    def routes(self) -> list[web.RouteDef]:
        """Return the mode's routes."""
        return [
            web.get("/api/geoblock", self.get_geoblock),
            web.get("/_exchange/mode", self.get_mode),
            web.post("/_exchange/mode", self.post_mode),
        ]

    async def get_geoblock(self, request: web.Request) -> web.Response:
        """GET /api/geoblock: whether the caller may trade from where he is."""
        return json_response(
            {
                "blocked": self._mode.geoblocked,
                "ip": request.remote,
                "country": "ZZ",
                "region": "",
            }
        )

    async def get_mode(self, _request: web.Request) -> web.Response:
        """GET /_exchange/mode."""
        return json_response(self._view())

    async def post_mode(self, request: web.Request) -> web.Response:
        """POST /_exchange/mode: some of its fields, or `{"restart": true}` to play a restart."""
        wanted = parse_json(await request.read())
        if not isinstance(wanted, dict):
            raise Refusal(400, "a mode is an object")
        try:
            if wanted.get("restart") is True and wanted.keys() <= RESTART_KEYS:
                down_ms = _whole(wanted.get("down_ms", RESTART_MS))
                self._mode.restart(
                    self._schedule, down_ms, _whole(wanted.get("post_only_ms", POST_ONLY_MS))
                )
            else:
                self._set(wanted)
        except (ValueError, TypeError) as error:
            raise Refusal(400, f"invalid mode: {error}") from None
        return json_response(self._view())

    def _set(self, wanted: dict[str, Any]) -> None:
        unknown = wanted.keys() - SET_KEYS
        if unknown:
            raise ValueError(f"unknown keys: {sorted(unknown)}")
        mode = self._mode
        after_s = wanted.get("retry_after_s", mode.retry_after_s)
        changes: dict[str, Any] = {
            "trading": Trading(wanted.get("trading", mode.trading)),
            "retry_after_s": None if after_s is None else _whole(after_s),
            "geoblocked": bool(wanted.get("geoblocked", mode.geoblocked)),
            "closed_only": {str(a).lower() for a in wanted.get("closed_only", mode.closed_only)},
            "banned": {str(a).lower() for a in wanted.get("banned", mode.banned)},
        }
        for name, value in changes.items():
            setattr(mode, name, value)

    def _view(self) -> dict[str, Any]:
        mode = self._mode
        return {
            "trading": str(mode.trading),
            "retry_after_s": mode.retry_after_s,
            "geoblocked": mode.geoblocked,
            "closed_only": sorted(mode.closed_only),
            "banned": sorted(mode.banned),
        }


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 86_400_000:
        raise ValueError(f"a duration is a whole number up to a day: {value!r:.40}")
    return value
