"""Signing domains: `domain_separators`, keyed `v<version>/<chain>/<contract>`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from engine.vectors.case import Case, Fact, Row, VectorFileError
from engine.vectors.values import hex_text
from signer.contracts import DOMAIN_NAME
from signer.eip712 import Domain


def cases(document: Row) -> Iterator[Case]:
    """Yield a case for each domain."""
    domains = document.get("domains")
    if not isinstance(domains, dict):
        raise VectorFileError("domains is an object")
    for name, separator in domains.items():
        yield Case(name, partial(_facts, name, separator))


def _facts(name: str, separator: str) -> Iterable[Fact]:
    version, chain_id, contract = name.split("/")
    domain = Domain(DOMAIN_NAME, version.removeprefix("v"), int(chain_id), contract)
    yield "separator", separator, hex_text(domain.separator())
