"""A dry run of the hot path: kernels loaded, caches filled, before the first real order.

It signs with a throw-away key and sends nothing. The first signature of a process would otherwise
cost some milliseconds, on the very order that started the day.
"""

from __future__ import annotations

import os

from engine.wire.codes import Side, Tif
from signer.contracts import DOMAIN_NAME
from signer.ecdsa import SigningKey
from signer.eip712 import Domain
from signer.log_format import Entry, EntryKind, pack
from signer.templates import OrderTemplate
from signer.wallets import SignatureType, Wallet

ROUNDS = 50


def warm_up() -> None:
    """Encode, sign and pack a few orders that nobody will ever see."""
    key = SigningKey(os.urandom(32))
    wallet = Wallet.of(key, SignatureType.EOA, key.address)
    domain = Domain(DOMAIN_NAME, "2", 1, key.address)
    template = OrderTemplate(wallet, domain, 1, Side.BUY, "")
    for salt in range(ROUNDS):
        signed = template.sign(salt, 1, 1, 1, 0, Tif.GTC, 0)
        pack(salt, Entry(EntryKind.SIGNED, 0, 0, 0, 0, 0, signed.order_hash, body=signed.body))
    key.wipe()
