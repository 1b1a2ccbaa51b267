"""Cancel on disconnect: a key that has begun to send heartbeats loses its orders when it stops.

```
POST "" ──→ armed ──(each accepted send moves the deadline)──→ deadline over: cancel all
```
The first send arms it, for all open orders of that API key; nothing disarms it. A wrong id is
answered with the expected one and moves nothing. Source: orders.md §5.7.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from aiohttp import web

from engine.exchange.accounts import ApiKey
from engine.exchange.schedule import Phase
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.venue import Venue

WRONG_ID = "Invalid Heartbeat ID"


@dataclass(slots=True)
class Pulse:
    """One key's heartbeat: the id to send next, and until when (venue ms)."""

    key: ApiKey
    heartbeat_id: str
    deadline_ms: int


class HeartbeatRoutes:
    """Takes heartbeats for one venue, and sweeps for those that stopped."""

    __slots__ = ("_gate", "_pulses", "_venue")

    def __init__(self, venue: Venue, gate: Gatekeeper) -> None:
        self._venue = venue
        self._gate = gate
        self._pulses: dict[str, Pulse] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the heartbeat route."""
        return [web.post("/v1/heartbeats", self.post_heartbeat)]

    async def post_heartbeat(self, request: web.Request) -> web.Response:
        """POST /v1/heartbeats: the id got last, "" for the first."""
        key, body = await self._gate.admit(request)
        payload = parse_json(body)
        given = payload.get("heartbeat_id") if isinstance(payload, dict) else None
        if not isinstance(given, str):
            raise Refusal(400, "Invalid payload")
        pulse = self._pulses.get(key.key)
        expected = pulse.heartbeat_id if pulse is not None else ""
        if given != expected:
            return json_response({"error_msg": WRONG_ID, "heartbeat_id": expected}, 400)
        return json_response({"heartbeat_id": self._beat(key)})

    def _beat(self, key: ApiKey) -> str:
        """Move a key's deadline; return the next id."""
        schedule, rules = self._venue.schedule, self._venue.rules
        if not self._pulses:
            schedule.at(schedule.now_ms + rules.heartbeat_sweep_ms, Phase.ACT, self._sweep)
        heartbeat_id = str(uuid.uuid4())
        deadline_ms = schedule.now_ms + rules.heartbeat_ms
        self._pulses[key.key] = Pulse(key, heartbeat_id, deadline_ms)
        return heartbeat_id

    def _sweep(self) -> None:
        """Cancel the orders of keys whose deadline has passed."""
        schedule = self._venue.schedule
        late = [p for p in self._pulses.values() if p.deadline_ms <= schedule.now_ms]
        for pulse in late:
            del self._pulses[pulse.key.key]
            key = pulse.key
            orders = self._venue.orders_of(key.account)
            hashes = [o.order_hash for o in orders if o.submission.owner == key.key]
            self._venue.cancel(key.account, hashes)
        if self._pulses:
            next_ms = schedule.now_ms + self._venue.rules.heartbeat_sweep_ms
            schedule.at(next_ms, Phase.ACT, self._sweep)
