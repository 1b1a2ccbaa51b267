"""`/metrics` in Prometheus' text format: all counters and rings, read from outside.

Nothing is asked of the processes: counter files and ring headers are shared memory, and this maps
them anew for each scrape, so a process that restarts or ends is seen as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.bus.counters import read_counters
from engine.bus.ring import inspect_ring
from engine.bus.shm import BusError
from engine.host.errors import HostError

ADDRESS = "127.0.0.1"


class RuntimeCollector(Collector):
    """Reads one runtime directory at every scrape."""

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir

    def collect(self) -> Iterator[Metric]:
        """Yield one gauge for counters, labelled by process and name, and three for rings."""
        counters = GaugeMetricFamily(
            "halftick_counter", "a process's own counters", labels=("process", "name")
        )
        for path in sorted(self._runtime_dir.glob("*.counters")):
            for name, value in _read_counters(path).items():
                counters.add_metric((path.stem, name), value)
        yield counters
        rings = {
            "head": GaugeMetricFamily(
                "halftick_ring_published", "records published so far", labels=("ring",)
            ),
            "lag": GaugeMetricFamily(
                "halftick_ring_depth", "records published and not taken", labels=("ring",)
            ),
            "capacity": GaugeMetricFamily(
                "halftick_ring_capacity", "records the ring holds", labels=("ring",)
            ),
        }
        for path in sorted(self._runtime_dir.glob("*.ring")):
            for field, value in _read_ring(path).items():
                rings[field].add_metric((path.stem,), value)
        yield from rings.values()


def _read_counters(path: Path) -> dict[str, int]:
    """Return the counters of one process; none where its file is just gone, or was cut."""
    try:
        return read_counters(path)
    except BusError:
        return {}


def _read_ring(path: Path) -> dict[str, int]:
    try:
        ring = inspect_ring(path)
    except BusError:
        return {}
    return {"head": ring.head, "lag": ring.lag, "capacity": ring.capacity}


class MetricsDuty:
    """Serves `/metrics` on loopback from a thread of its own."""

    name = "metrics"

    def __init__(self, runtime_dir: Path, port: int) -> None:
        self._runtime_dir = runtime_dir
        self._port = port
        self._server: tuple[WSGIServer, Thread] | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port if self._server is None else int(self._server[0].server_port)

    def start(self) -> None:
        """Listen. Raises HostError where the port is taken."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(RuntimeCollector(self._runtime_dir))
        try:
            self._server = start_http_server(self._port, ADDRESS, registry)
        except OSError as error:
            raise HostError(
                f"metrics port cannot be used: port={self._port}, {error.strerror}"
            ) from None

    def work(self) -> int:
        """Nothing: scrapes are served by the thread."""
        return 0

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()
            self._server = None
