"""The keystore under any key, any passphrase and any damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.host.errors import RefuseError
from engine.host.secrets import ApiCredentials
from signer.keystore import Cost, KeyMaterial, read_header, seal, unseal
from signer.web3_keystore import decrypt_web3

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
FILE = Path("hot.keystore")
NAMED = r"file=hot\.keystore"
CREATED = "2026-11-21T00:00:00+00:00"
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141

keys = st.integers(1, ORDER - 1).map(lambda scalar: scalar.to_bytes(32, "big"))
passphrases = st.binary(min_size=1, max_size=200)
texts = st.text(max_size=80)
credentials = st.none() | st.builds(
    ApiCredentials, texts, st.just("c2VjcmV0"), st.text(st.characters(exclude_categories=["Cs"]))
)
SEALED = seal(
    KeyMaterial.of(bytearray(range(1, 33))), bytearray(b"passphrase"), CHEAP, CREATED, FILE
)


@given(keys, passphrases, credentials)
@settings(deadline=None)
def test_every_key_survives(key: bytes, passphrase: bytes, api: ApiCredentials | None):
    """Any key and any API credentials under any passphrase come out as they went in."""
    material = KeyMaterial.of(bytearray(key), api=api)
    data = seal(material, bytearray(passphrase), CHEAP, CREATED, FILE)
    opened = unseal(data, bytearray(passphrase), FILE)
    assert (opened.private_key, opened.api, opened.address) == (key, api, material.address)
    assert key not in data
    assert key.hex().encode() not in data
    assert read_header(data, FILE).has_api == (api is not None)


@given(passphrases, passphrases)
@settings(deadline=None)
def test_only_its_own_passphrase_opens(passphrase: bytes, guess: bytes):
    """A keystore opens under a passphrase exactly if it was sealed under it."""
    data = seal(
        KeyMaterial.of(bytearray(range(1, 33))), bytearray(passphrase), CHEAP, CREATED, FILE
    )
    if guess == passphrase:
        unseal(data, bytearray(guess), FILE)
    else:
        with pytest.raises(RefuseError, match="passphrase wrong"):
            unseal(data, bytearray(guess), FILE)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=500)
def test_no_changed_byte_goes_unseen(position: int, change: int):
    """Whichever byte of a keystore is changed to whatever else, it is refused, naming the file."""
    data = bytearray(SEALED)
    data[position] ^= change
    with pytest.raises(RefuseError, match=NAMED):
        unseal(bytes(data), bytearray(b"passphrase"), FILE)


@given(st.integers(0, len(SEALED) - 1))
@settings(deadline=None)
def test_no_cut_goes_unseen(length: int):
    """A keystore cut anywhere is refused, naming the file."""
    with pytest.raises(RefuseError, match=NAMED):
        unseal(SEALED[:length], bytearray(b"passphrase"), FILE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.binary(max_size=300) | json_values.map(lambda value: repr(value).encode()))
def test_no_bytes_crash_the_readers(data: bytes):
    """Whatever stands in a file, both readers open it or refuse it, and nothing else."""
    for read in (unseal, decrypt_web3):
        with pytest.raises(RefuseError, match=NAMED):
            read(data, bytearray(b"passphrase"), FILE)


WEB3_FIELDS = {
    "version": 3,
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "00" * 16},
        "ciphertext": "11" * 32,
        "kdf": "scrypt",
        "kdfparams": {"n": 2, "r": 1, "p": 1, "dklen": 32, "salt": "22" * 16},
        "mac": "33" * 32,
    },
}


@given(st.data())
@settings(deadline=None)
def test_no_field_of_a_web3_file_crashes_its_reader(data: st.DataObject):
    """Any value in the place of any one field of a Web3 key file is refused, never a crash."""
    whole = json.loads(json.dumps(WEB3_FIELDS))
    table = data.draw(
        st.sampled_from([whole, whole["crypto"], whole["crypto"]["kdfparams"]]), label="table"
    )
    key = data.draw(st.sampled_from(sorted(table)), label="key")
    table[key] = data.draw(json_values, label="value")
    with pytest.raises(RefuseError, match=NAMED):
        decrypt_web3(json.dumps(whole).encode("utf-8", "replace"), bytearray(b"guess"), FILE)
