"""How the back office writes quantities and names stages, on paper and on the terminal."""

from __future__ import annotations

STAGE_NAMES = {
    "received_to_polled": "feed and ring to core",
    "polled_to_published": "core",
    "published_to_signer": "ring to signer",
    "signed": "sign",
    "logged": "order log",
    "sent": "send",
}
_ROUNDS_UP = 0.9995  # from here on three digits would be four


def time_text(ns: float) -> str:
    """Return a duration to three digits with the unit that suits it."""
    for scale, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= scale * _ROUNDS_UP:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.0f} ns"
