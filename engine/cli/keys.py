"""`halftick keys …`: make, import, look at and renew the files that hold private keys.

Secrets come from a descriptor, a systemd credential or the terminal, never from an argument or the
environment, and none is ever printed: there is no command that shows a private key.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from engine.cli.key_input import (
    guard_process,
    material_of,
    sealing_passphrase,
    typed_key,
    web3_key,
)
from engine.cli.keyring import Keyring
from engine.cli.runs import JsonOption
from engine.host.errors import Exit, HostError
from engine.host.exposure import refuse_exposed
from signer.ecdsa import SECRET_BYTES, recover_address
from signer.keystore import (
    LANES_MAX,
    MEMORY_KIB_MAX,
    PASSES_MAX,
    Cost,
    Header,
    KeyMaterial,
)

KIB_PER_MIB = 1024
MEMORY_MIB_MIN = 32

NameArgument = Annotated[str, typer.Argument(help="What the key is called.", show_default=False)]
DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--directory", "-d", help="Where keystores are.", show_default="~/.config/halftick/keys"
    ),
]
PassphraseOption = Annotated[
    int | None,
    typer.Option("--passphrase-fd", min=0, help="Read the passphrase from this descriptor."),
]
NewPassphraseOption = Annotated[
    int | None,
    typer.Option("--new-passphrase-fd", min=0, help="Read the new one from this descriptor."),
]
SignatureTypeOption = Annotated[
    int | None,
    typer.Option(min=0, max=3, help="0 EOA, 1 proxy, 2 Safe, 3 deposit wallet."),
]
FunderOption = Annotated[
    str | None, typer.Option(help="The wallet that holds the funds, if it is not the key's own.")
]
ApiOption = Annotated[
    int | None,
    typer.Option(
        "--api-fd", min=0, help='Read API credentials: {"key": …, "secret": …, "passphrase": …}.'
    ),
]
MemoryOption = Annotated[
    int,
    typer.Option(
        "--memory-mib",
        min=MEMORY_MIB_MIN,
        max=MEMORY_KIB_MAX // KIB_PER_MIB,
        help="argon2id: memory a guess at the passphrase takes.",
    ),
]
PassesOption = Annotated[
    int, typer.Option("--passes", min=1, max=PASSES_MAX, help="argon2id: passes over the memory.")
]
LanesOption = Annotated[
    int, typer.Option("--lanes", min=1, max=LANES_MAX, help="argon2id: lanes, one thread each.")
]
_COST = Cost()
_MEMORY_MIB = _COST.memory_kib // KIB_PER_MIB


def keys_app() -> typer.Typer:
    """Return the commands of `halftick keys`; refuse a command line with a key on it.

    The check comes before anything is parsed: a usage error would quote the argument.
    """
    refuse_exposed(environment={})
    app = typer.Typer(
        help="Make and look after private keys.", no_args_is_help=True, add_completion=False
    )
    app.command()(new)
    app.command("import")(import_)
    app.command("list")(list_)
    app.command()(address)
    app.command()(verify)
    app.command()(rotate)
    return app


def new(
    name: NameArgument,
    directory: DirectoryOption = None,
    passphrase_fd: PassphraseOption = None,
    signature_type: SignatureTypeOption = 0,
    funder: FunderOption = None,
    memory_mib: MemoryOption = _MEMORY_MIB,
    passes: PassesOption = _COST.passes,
    lanes: LanesOption = _COST.lanes,
    as_json: JsonOption = False,
) -> None:
    """Make a new private key. Its file is the only copy: back it up, and the passphrase too."""
    guard_process()
    keyring = Keyring.at(directory)
    keyring.refuse_taken(name)
    private_key = bytearray(secrets.token_bytes(SECRET_BYTES))
    with (
        material_of(private_key, signature_type, funder) as material,
        sealing_passphrase(name, passphrase_fd) as secret,
    ):
        header = keyring.add(name, material, secret, _cost(memory_mib, passes, lanes))
    _report("made", keyring, name, header, as_json)


def import_(
    name: NameArgument,
    directory: DirectoryOption = None,
    key_fd: Annotated[
        int | None, typer.Option("--key-fd", min=0, help="Read the key, in hex, from here.")
    ] = None,
    web3: Annotated[
        Path | None, typer.Option(help="A Web3 key file (version 3) to take the key from.")
    ] = None,
    web3_passphrase_fd: Annotated[
        int | None, typer.Option(min=0, help="Read the Web3 file's passphrase from here.")
    ] = None,
    api_fd: ApiOption = None,
    passphrase_fd: PassphraseOption = None,
    signature_type: SignatureTypeOption = 0,
    funder: FunderOption = None,
    memory_mib: MemoryOption = _MEMORY_MIB,
    passes: PassesOption = _COST.passes,
    lanes: LanesOption = _COST.lanes,
    as_json: JsonOption = False,
) -> None:
    """Import a private key: typed, from a descriptor, or out of a Web3 key file."""
    if web3 is not None and key_fd is not None:
        raise typer.BadParameter("a key comes from --key-fd or --web3, not from both")
    if web3 is None and web3_passphrase_fd is not None:
        raise typer.BadParameter("--web3-passphrase-fd goes with --web3")
    guard_process()
    keyring = Keyring.at(directory)
    keyring.refuse_taken(name)
    private_key = typed_key(key_fd) if web3 is None else web3_key(web3, web3_passphrase_fd)
    with (
        material_of(private_key, signature_type, funder, api_fd) as material,
        sealing_passphrase(name, passphrase_fd) as secret,
    ):
        header = keyring.add(name, material, secret, _cost(memory_mib, passes, lanes))
    _report("imported", keyring, name, header, as_json)


def list_(directory: DirectoryOption = None, as_json: JsonOption = False) -> None:
    """List the keystores; nothing is opened, so `verify` one before believing it."""
    keyring = Keyring.at(directory)
    found: list[dict[str, Any]] = []
    for name in keyring.names():
        try:
            found.append(_describe(keyring, name, keyring.header(name)))
        except HostError as error:
            found.append({"name": name, "error": str(error)})
    if as_json:
        print(msgspec.json.encode({"keys": found}).decode())
    else:
        _print_table(found)
    if any("error" in each for each in found):
        raise typer.Exit(Exit.DIRTY)


def address(
    name: NameArgument, directory: DirectoryOption = None, as_json: JsonOption = False
) -> None:
    """Print the address of a key, as its file says; no passphrase is needed."""
    keyring = Keyring.at(directory)
    header = keyring.header(name)
    if as_json:
        print(msgspec.json.encode(_describe(keyring, name, header)).decode())
    else:
        print(header.address)


def verify(
    name: NameArgument,
    directory: DirectoryOption = None,
    passphrase_fd: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open a keystore and prove its key: it derives the address, and its signature recovers it."""
    guard_process()
    keyring = Keyring.at(directory)
    with keyring.opened(name, passphrase_fd) as material:
        _prove(material)
        refuse_exposed(material.texts())
    _report("verified", keyring, name, keyring.header(name), as_json)


def rotate(
    name: NameArgument,
    directory: DirectoryOption = None,
    passphrase_fd: PassphraseOption = None,
    new_passphrase_fd: NewPassphraseOption = None,
    signature_type: SignatureTypeOption = None,
    funder: FunderOption = None,
    api_fd: ApiOption = None,
    memory_mib: MemoryOption = _MEMORY_MIB,
    passes: PassesOption = _COST.passes,
    lanes: LanesOption = _COST.lanes,
    as_json: JsonOption = False,
) -> None:
    """Seal a key anew: another passphrase, salt and cost; also other API credentials or funder.

    The old file is replaced in one step, once the new one has been opened again. Copies of the old
    one still open with the old passphrase: destroy them.
    """
    guard_process()
    keyring = Keyring.at(directory)
    with keyring.opened(name, passphrase_fd) as old:
        kind = old.signature_type if signature_type is None else signature_type
        # Another kind of wallet has another funder: the old one is kept only with the old kind.
        kept = old.funder if kind == old.signature_type else None
        private_key = bytearray(old.private_key)
        with (
            material_of(private_key, kind, funder or kept, api_fd, old.api) as material,
            sealing_passphrase(name, new_passphrase_fd) as secret,
        ):
            header = keyring.replace(name, material, secret, _cost(memory_mib, passes, lanes))
    _report("rotated", keyring, name, header, as_json)


def _cost(memory_mib: int, passes: int, lanes: int) -> Cost:
    return Cost(memory_mib * KIB_PER_MIB, passes, lanes)


def _prove(material: KeyMaterial) -> None:
    """Sign something and recover the address from the signature."""
    digest = secrets.token_bytes(32)
    key = material.signing_key()
    try:
        signature = key.sign(digest)
    finally:
        key.wipe()
    recovered = recover_address(digest, signature)
    if recovered != material.address:
        raise HostError(
            f"key does not sign for its address: address={material.address}, recovered={recovered}"
        )


def _describe(keyring: Keyring, name: str, header: Header) -> dict[str, Any]:
    about = {"name": name, "file": str(keyring.path(name)), **msgspec.structs.asdict(header)}
    for internal in ("format", "nonce"):
        del about[internal]
    return about


def _report(done: str, keyring: Keyring, name: str, header: Header, as_json: bool) -> None:
    if as_json:
        about = {"done": done, **_describe(keyring, name, header)}
        print(msgspec.json.encode(about).decode())
    else:
        print(f"{name}: {done}: address={header.address}, file={keyring.path(name)}")


def _print_table(found: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("name", "address", "type", "funder", "api", "created"):
        table.add_column(column, no_wrap=True)
    for each in found:
        if "error" not in each:
            funder = "" if each["funder"] == each["address"] else each["funder"]
            api = "yes" if each["has_api"] else ""
            kind = str(each["signature_type"])
            table.add_row(each["name"], each["address"], kind, funder, api, each["created"])
    if table.row_count:
        Console(width=160, highlight=False).print(table)
    for each in found:
        if "error" in each:
            print(f"halftick keys: {each['error']}", file=sys.stderr)
