"""The keystore: what it keeps, what it refuses; a refusal names the file and holds no secret."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account as EthAccount

from engine.host.errors import Exit, RefuseError
from engine.host.exposure import refuse_exposed
from engine.host.secrets import ApiCredentials
from signer import keystore, keystore_file
from signer.keystore import Cost, KeyMaterial, seal, unseal
from signer.web3_keystore import decrypt_web3

KEY = bytes.fromhex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")
ADDRESS = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
OTHER = "0x1111111111111111111111111111111111111111"
PASSPHRASE = b"a passphrase to test with"
API = ApiCredentials("11111111-2222", "c2VjcmV0LW1hcms=", "api-passphrase-mark")
CHEAP = Cost(memory_kib=16, passes=1, lanes=1)
FILE = Path("some/place/hot.keystore")
CREATED = "2026-11-21T00:00:00+00:00"


def sealed(**changes: object) -> bytes:
    """Return a cheap keystore of the test key."""
    material = KeyMaterial.of(bytearray(KEY), **changes)  # type: ignore[arg-type]
    return seal(material, bytearray(PASSPHRASE), CHEAP, CREATED, FILE)


def refusal(data: bytes, passphrase: bytes = PASSPHRASE) -> str:
    """Return why a keystore does not open; it names the file and holds no secret."""
    with pytest.raises(RefuseError) as caught:
        unseal(data, bytearray(passphrase), FILE)
    message = str(caught.value)
    assert caught.value.exit_code == Exit.REFUSED
    assert str(FILE) in message
    assert "\n" not in message
    assert caught.value.__cause__ is None
    for secret in (KEY.hex(), API.secret, API.passphrase, passphrase.decode(), PASSPHRASE.decode()):
        assert secret not in message
    return message


def with_header(data: bytes, change: Callable[[dict[str, object]], None]) -> bytes:
    """Return the file with another header and a checksum that fits it."""
    first, second, _ = data.split(b"\n", 2)
    header = json.loads(first)
    change(header)
    signed = json.dumps(header, separators=(",", ":")).encode() + b"\n" + second + b"\n"
    return signed + hashlib.sha256(signed).hexdigest().encode() + b"\n"


def test_what_is_put_in_comes_out():
    """Key, address, signature type, funder and API credentials survive."""
    with unseal(sealed(signature_type=2, funder=OTHER, api=API), bytearray(PASSPHRASE), FILE) as m:
        assert (m.private_key, m.address) == (KEY, ADDRESS)
        assert (m.signature_type, m.funder, m.api) == (2, OTHER, API)
        account = m.account()
    assert (account.private_key, account.api) == ("0x" + KEY.hex(), API)
    assert (account.address, account.funder, account.signature_type) == (ADDRESS, OTHER, 2)


@pytest.mark.slow
def test_default_cost_opens():
    """A keystore sealed at the default cost, 256 MiB, 3 passes and 2 lanes, opens."""
    assert Cost() == Cost(memory_kib=256 * 1024, passes=3, lanes=2)
    material = KeyMaterial.of(bytearray(KEY))
    data = seal(material, bytearray(PASSPHRASE), Cost(), CREATED, FILE)
    assert unseal(data, bytearray(PASSPHRASE), FILE).private_key == KEY


def test_the_key_is_overwritten_at_the_end_of_its_block():
    """Leaving the block leaves zeros where the key was."""
    with unseal(sealed(), bytearray(PASSPHRASE), FILE) as material:
        place = material.private_key
    assert place == bytes(32)


def test_no_repr_shows_a_secret():
    """Neither the opened keystore nor its account shows key, API secret or API passphrase."""
    material = KeyMaterial.of(bytearray(KEY), api=API)
    shown = f"{material!r} {material.account()!r}"
    for secret in (KEY.hex(), repr(KEY), API.secret, API.passphrase):
        assert secret not in shown
    assert ADDRESS in shown


def test_the_file_holds_no_secret_in_the_clear():
    """Only the header can be read: no key and no API credential in any usual spelling."""
    data = sealed(api=API)
    for secret in (KEY, KEY.hex().encode(), API.secret.encode(), API.passphrase.encode()):
        assert secret not in data


def test_each_sealing_has_its_own_salt_and_nonce():
    """The same key under the same passphrase never gives the same bytes twice."""
    first, second = (keystore.read_header(sealed(), FILE) for _ in range(2))
    assert first.kdf.salt != second.kdf.salt
    assert first.nonce != second.nonce


def test_wrong_passphrase_says_so():
    """A passphrase that differs in one letter opens nothing and is not quoted."""
    assert "passphrase wrong or file altered" in refusal(sealed(), b"a passphrase to test witH")


def test_damage_is_told_from_a_wrong_passphrase():
    """A flipped byte of the ciphertext, or a missing end, is called damage."""
    data = sealed()
    at = data.index(b"\n") + 10
    flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    assert "is damaged" in refusal(flipped)
    assert "is damaged" in refusal(data[:-10])
    assert "is damaged" in refusal(data + b"\n")


def test_other_files_are_not_keystores():
    """Nothing, noise, other JSON and deeply nested JSON are refused as no keystore."""
    for data in (b"", b"\xff\n", b"{}\n", b'{"format":7}\n', b"[" * 16_000):
        assert "not a halftick keystore" in refusal(data)


def test_unknown_version_is_named():
    """A file of a later version is refused with its version, not called damaged."""

    def later(header: dict[str, object]) -> None:
        header["version"] = 2

    assert "unknown version" in refusal(with_header(sealed(), later))
    assert "version=2" in refusal(with_header(sealed(), later))


@pytest.mark.parametrize(
    ("key", "value"),
    [("memory_kib", 1 << 40), ("memory_kib", 0), ("passes", 10_000), ("lanes", 0), ("lanes", 4)],
)
def test_hostile_parameters_are_refused_unpaid(key: str, value: int, monkeypatch):
    """Out-of-bounds costs are refused before argon2 is ever called."""

    def dear(header: dict[str, object]) -> None:
        header["kdf"][key] = value  # type: ignore[index]

    data = with_header(sealed(), dear)
    monkeypatch.setattr(keystore, "hash_secret_raw", lambda *_, **__: pytest.fail("paid"))
    assert "header is refused" in refusal(data)


def test_nobody_else_can_point_a_key_at_another_funder():
    """The header is authenticated: another funder with a fitting checksum does not open."""

    def redirect(header: dict[str, object]) -> None:
        header["funder"] = OTHER

    data = with_header(sealed(signature_type=1, funder=ADDRESS), redirect)
    assert "passphrase wrong or file altered" in refusal(data)


def test_header_has_one_spelling():
    """White space in the header is refused, as is a field that is not known."""
    first, rest = sealed().split(b"\n", 1)
    assert "not canonical" in refusal(first.replace(b",", b", ", 1) + b"\n" + rest)

    def extra(header: dict[str, object]) -> None:
        header["note"] = 1

    assert "unknown field" in refusal(with_header(sealed(), extra))


def test_key_of_another_address_is_refused():
    """A file whose key does not derive the address it states is refused, with both addresses."""
    material = KeyMaterial.of(bytearray(KEY), signature_type=1, funder=OTHER)
    material.address = OTHER
    data = seal(material, bytearray(PASSPHRASE), CHEAP, CREATED, FILE)
    assert f"header={OTHER}, key={ADDRESS}" in refusal(data)


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        (bytes(32), {}, "scalar in"),
        (b"\xff" * 32, {}, "scalar in"),
        (KEY[:31], {}, "32 bytes"),
        (KEY, {"funder": OTHER}, "its own funder"),
        (KEY, {"signature_type": 3}, "its own funder"),
        (KEY, {"signature_type": 4, "funder": OTHER}, "SignatureType"),
        (KEY, {"signature_type": 1, "funder": "0x12"}, "40 hex digits"),
    ],
)
def test_what_makes_no_wallet_is_not_sealed(key: bytes, changes: dict[str, object], message: str):
    """A scalar that is no key, and a funder that cannot go with it, are refused by name."""
    with pytest.raises(ValueError, match=message) as caught:
        KeyMaterial.of(bytearray(key), **changes)  # type: ignore[arg-type]
    assert KEY.hex() not in str(caught.value)


def test_account_needs_api_credentials():
    """A keystore without API credentials opens, but makes no account to trade with."""
    with pytest.raises(RefuseError, match="no API credentials"):
        KeyMaterial.of(bytearray(KEY)).account()


def test_file_is_written_whole_private_and_once(tmp_path: Path):
    """A new file is 0600, in a 0700 directory, beside no draft, and never replaces another."""
    path = tmp_path / "keys" / "hot.keystore"
    keystore_file.create_keystore(path, b"first")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with pytest.raises(RefuseError, match=f"exists already: file={path}"):
        keystore_file.create_keystore(path, b"second")
    assert keystore_file.read_keystore(path) == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_replacing_is_all_or_nothing(tmp_path: Path, monkeypatch):
    """A failure at any step before the rename leaves the old file and no draft behind."""
    path = tmp_path / "hot.keystore"
    keystore_file.create_keystore(path, b"old")
    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def full(*_: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(os, step, full)
            with pytest.raises(RefuseError, match="No space left on device"):
                keystore_file.replace_keystore(path, b"new")
        assert keystore_file.read_keystore(path) == b"old"
        assert list(tmp_path.iterdir()) == [path]
    keystore_file.replace_keystore(path, b"new")
    assert keystore_file.read_keystore(path) == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o777])
def test_files_that_others_can_touch_are_refused(tmp_path: Path, mode: int):
    """Any permission for group or others is refused, with the mode and the remedy."""
    path = tmp_path / "hot.keystore"
    path.write_bytes(b"x")
    path.chmod(mode)
    with pytest.raises(RefuseError, match=rf"chmod 600\): file={path}, mode={mode:o}"):
        keystore_file.read_keystore(path)


def test_only_regular_files_are_read(tmp_path: Path):
    """A symbolic link, a directory, a pipe without a writer and a missing file are refused."""
    path = tmp_path / "hot.keystore"
    keystore_file.create_keystore(path, b"x")
    link, pipe, folder = tmp_path / "link", tmp_path / "pipe", tmp_path / "folder"
    link.symlink_to(path)
    os.mkfifo(pipe, 0o600)
    folder.mkdir(0o700)
    for place, message in (
        (link, "symbolic link"),
        (pipe, "regular file"),
        (folder, "Is a directory"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(RefuseError, match=message) as caught:
            keystore_file.read_keystore(place)
        assert str(place) in str(caught.value)


def test_foreign_and_endless_files_are_refused(tmp_path: Path, monkeypatch):
    """Somebody else's file is refused, and one too long is not read to its end."""
    path = tmp_path / "hot.keystore"
    keystore_file.create_keystore(path, b"x" * (keystore.FILE_BYTES_MAX + 1))
    with pytest.raises(RefuseError, match=f"too long: file={path}"):
        keystore_file.read_keystore(path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(RefuseError, match="must be ours"):
        keystore_file.read_keystore(path)


def web3(kdf: str = "scrypt", **changes: object) -> bytes:
    """Return a cheap Web3 key file of the test key, made by the reference implementation."""
    made = EthAccount.encrypt(KEY, PASSPHRASE.decode(), kdf=kdf, iterations=2)  # type: ignore[arg-type]
    made["crypto"]["kdfparams"] |= changes
    return json.dumps(made).encode()


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_web3_files_of_the_reference_open(kdf: str):
    """What eth-account encrypts, we decrypt, by either derivation and in any case of the names."""
    text = web3(kdf)
    assert decrypt_web3(text, bytearray(PASSPHRASE), FILE) == KEY
    capital = text.replace(b'"crypto"', b'"Crypto"')
    assert decrypt_web3(capital, bytearray(PASSPHRASE), FILE) == KEY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not a Web3 key file"),
        (b"[" * 60_000, "not a Web3 key file"),
        (b'{"version":4}', "version 3"),
        (b'{"version":3}', "crypto"),
        (web3(n=1 << 30), "refuse"),
        (web3(n=3), "refuse"),
        (web3(r=1 << 24), "refuse"),
        (web3("pbkdf2", c=1 << 30), "refuse"),
        (web3("pbkdf2", prf="hmac-md5"), "refuse"),
        (web3(dklen=64), "dklen"),
        (web3(salt="0g"), "salt"),
        (web3().replace(b"aes-128-ctr", b"aes-128-cbc"), "aes-128-ctr"),
        (web3().replace(ADDRESS[2:].encode(), b"11" * 20), "another address"),
    ],
)
def test_bad_web3_files_are_refused(text: bytes, message: str):
    """Each fault of a Web3 key file is one refusal that names the file."""
    with pytest.raises(RefuseError, match=message) as caught:
        decrypt_web3(text, bytearray(PASSPHRASE), FILE)
    assert str(FILE) in str(caught.value)
    assert KEY.hex() not in str(caught.value)


def test_wrong_passphrase_of_a_web3_file():
    """A wrong passphrase is said to be one, and is not quoted."""
    with pytest.raises(RefuseError, match=f"passphrase is wrong: file={FILE}"):
        decrypt_web3(web3(), bytearray(b"guess"), FILE)


@pytest.mark.parametrize(
    "name", ["PRIVATE_KEY", "HALFTICK_PRIVATE_KEY", "HALFTICK_PASSPHRASE", "PK", "POLY_API_KEY",
             "POLY_PASSPHRASE", "POLY_ANYTHING", "poly_secret", "MNEMONIC", "WALLET_PRIVATE_KEY",
             "POLYMARKET_PK", "CLOB_SECRET", "CLOB_PASS_PHRASE"],
)  # fmt: skip
def test_secrets_in_the_environment_are_refused(name: str):
    """Each usual name of a key or passphrase is refused by name; its value is not quoted."""
    with pytest.raises(RefuseError, match=f"variable={name}$"):
        refuse_exposed(environment={"HOME": "/", name: "value"}, arguments=[])


def test_ordinary_environments_are_fine():
    """What has another name, or is empty, is no secret."""
    fine = {"HALFTICK_RUNTIME_DIR": "/x", "PATH": "/bin", "PRIVATE_KEY": "", "SSH_AUTH_SOCK": "y"}
    refuse_exposed(environment=fine, arguments=["halftick", "keys", "list", "0x" + "1" * 40])


@pytest.mark.parametrize("argument", [KEY.hex(), "0x" + KEY.hex(), "--key=0X" + KEY.hex().upper()])
def test_keys_among_arguments_are_refused(argument: str):
    """What looks like a private key is refused by its position, in any spelling, unquoted."""
    with pytest.raises(RefuseError, match="argument=1") as caught:
        refuse_exposed(environment={}, arguments=["halftick", argument])
    assert KEY.hex() not in str(caught.value).lower()


def test_known_secrets_are_found_inside_anything():
    """A secret we hold is found within any variable or argument whatever it is called."""
    with pytest.raises(RefuseError, match="variable=NOTE"):
        refuse_exposed([API.passphrase], environment={"NOTE": f"<{API.passphrase}>"}, arguments=[])
    with pytest.raises(RefuseError, match="argument=0"):
        refuse_exposed([API.passphrase], environment={}, arguments=[API.passphrase.upper()])
