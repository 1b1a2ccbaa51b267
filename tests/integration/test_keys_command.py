"""`halftick keys` as an operator meets it: real processes, descriptors, a terminal, exit codes."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthAccount

from engine.cli.main import call
from engine.host import proc
from engine.host.errors import Exit
from signer.keystore import unseal

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ADDRESS = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
FUNDER = "0x1111111111111111111111111111111111111111"
FIRST, SECOND = "the first passphrase", "the second passphrase"
API = {"key": "1-2-3", "secret": "c2VjcmV0LW1hcms=", "passphrase": "api-passphrase-mark"}
CHEAP = ("--memory-mib", "32", "--passes", "1")
COMMAND = (sys.executable, "-m", "engine.cli.main", "keys")
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


def clean_environment(**more: str) -> dict[str, str]:
    """Return our environment without any variable of the kind the command refuses."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **more}


class Keys:
    """`halftick keys` on one directory, called in this process: a process each takes a second."""

    def __init__(self, directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capfd = capfd

    def __call__(self, *arguments: str, **secrets: str) -> Answer:
        """Run a command; each keyword becomes a pipe: passphrase_fd="…" is --passphrase-fd N."""
        options = ["--directory", str(self.directory)]
        for name, secret in secrets.items():
            options += [f"--{name.replace('_', '-')}", str(pipe_with(secret))]
        self._capfd.readouterr()
        code = call(["keys", *arguments, *options])
        return checked(Answer(code, *self._capfd.readouterr()), *secrets.values())

    def add(self, name: str = "hot", *arguments: str, **secrets: str) -> Answer:
        """Import the test key cheaply."""
        secrets = {"key_fd": KEY, "passphrase_fd": FIRST, **secrets}
        return self("import", name, *arguments, *CHEAP, "--json", **secrets)


def pipe_with(secret: str) -> int:
    """Return the read end of a pipe that holds a secret."""
    source, target = os.pipe()
    os.write(target, secret.encode())
    os.close(target)
    return source


def checked(answer: Answer, *secrets: str) -> Answer:
    """Return an answer that shows no secret and no traceback."""
    said = answer.out + answer.err
    assert "Traceback" not in said
    for secret in (KEY, FIRST, SECOND, API["secret"], API["passphrase"], *secrets):
        assert not secret or secret not in said
    return answer


def run(*arguments: str, **environment: str) -> Answer:
    """Run `halftick keys` in a process of its own, without a terminal."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        start_new_session=True,
    )
    return checked(Answer(done.returncode, done.stdout, done.stderr))


@pytest.fixture
def keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Keys:
    """A directory of keys that does not exist yet; this process itself is not hardened."""
    for name in ("hide_memory", "restrict_files"):
        monkeypatch.setattr(proc, name, lambda: None)
    monkeypatch.setattr(proc, "lock_memory", lambda: True)
    monkeypatch.setattr(sys, "argv", ["halftick"])
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return Keys(tmp_path / "keys", capfd)


def test_new_key_is_made_listed_and_verified(keys: Keys):
    """A new key has a private file, is listed, gives its address, and verifies."""
    made = keys("new", "hot", *CHEAP, "--json", passphrase_fd=FIRST + "\n")
    assert made.code == Exit.CLEAN, made.err
    path = Path(made.json["file"])
    assert path == keys.directory / "hot.keystore"
    assert path.stat().st_mode & 0o777 == 0o600
    listed = keys("list", "--json").json["keys"]
    assert [each["address"] for each in listed] == [made.json["address"]]
    assert keys("address", "hot").out == made.json["address"] + "\n"
    verified = keys("verify", "hot", "--json", passphrase_fd=FIRST)
    assert (verified.code, verified.json["done"]) == (Exit.CLEAN, "verified")


def test_raw_key_is_imported_with_all_that_goes_with_it(keys: Keys):
    """A hex key comes in through a descriptor, with wallet type, funder and API credentials."""
    answer = keys.add(
        "hot", "--signature-type", "2", "--funder", FUNDER, key_fd=f"0x{KEY}\n",
        api_fd=json.dumps(API),
    )  # fmt: skip
    assert answer.code == Exit.CLEAN, answer.err
    assert answer.json["address"] == ADDRESS
    path = Path(answer.json["file"])
    with unseal(path.read_bytes(), bytearray(FIRST.encode()), path) as material:
        account = material.account()
    assert (account.private_key, account.funder) == ("0x" + KEY, FUNDER)
    assert account.api.secret == API["secret"]


def test_web3_key_file_is_imported(keys: Keys, tmp_path: Path):
    """A key file of eth-account comes in under its own passphrase and gets ours."""
    file = tmp_path / "web3.json"
    file.write_text(json.dumps(EthAccount.encrypt(KEY, SECOND, kdf="scrypt", iterations=2)))
    wrong = keys("import", "hot", "--web3", str(file), *CHEAP, web3_passphrase_fd="guess")
    assert wrong.code == Exit.REFUSED
    assert str(file) in wrong.err
    answer = keys(
        "import", "hot", "--web3", str(file), *CHEAP, "--json",
        web3_passphrase_fd=SECOND, passphrase_fd=FIRST,
    )  # fmt: skip
    assert (answer.code, answer.json["address"]) == (Exit.CLEAN, ADDRESS)


def test_rotation_changes_the_passphrase_and_keeps_the_rest(keys: Keys):
    """After a rotation only the new passphrase opens, and what was not changed is as it was."""
    keys.add("hot", api_fd=json.dumps(API))
    rotated = keys(
        "rotate", "hot", *CHEAP, "--signature-type", "1", "--funder", FUNDER, "--json",
        passphrase_fd=FIRST, new_passphrase_fd=SECOND,
    )  # fmt: skip
    assert rotated.code == Exit.CLEAN, rotated.err
    assert (rotated.json["funder"], rotated.json["has_api"]) == (FUNDER, True)
    assert keys("verify", "hot", passphrase_fd=FIRST).code == Exit.REFUSED
    assert keys("verify", "hot", passphrase_fd=SECOND).code == Exit.CLEAN
    assert [path.name for path in keys.directory.iterdir()] == ["hot.keystore"]


def test_failed_rotation_leaves_the_old_file(keys: Keys):
    """A rotation refused for any reason leaves every byte of the keystore as it was."""
    path = Path(keys.add().json["file"])
    before = path.read_bytes()
    for old, new in ((SECOND, SECOND), (FIRST, "abc-123")):
        answer = keys("rotate", "hot", *CHEAP, passphrase_fd=old, new_passphrase_fd=new)
        assert answer.code == Exit.REFUSED
    answer = keys("rotate", "hot", "--signature-type", "3", passphrase_fd=FIRST)
    assert answer.code == Exit.REFUSED
    assert path.read_bytes() == before


def test_a_name_is_never_taken_twice(keys: Keys):
    """new and import refuse a name that exists, naming the file, and change nothing."""
    path = Path(keys.add().json["file"])
    before = path.read_bytes()
    for answer in (keys.add(), keys("new", "hot", *CHEAP, passphrase_fd=SECOND)):
        assert answer.code == Exit.REFUSED
        assert f"exists already: file={path}" in answer.err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("12", "32 bytes"),
        ("", "private key is empty"),
        ("zz" * 32, "64 hex digits"),
        ("0" * 64, "scalar in"),
        ("é" * 64, "64 hex digits"),
        ("1" * 5_000, "too long"),
    ],
)
def test_what_is_no_key_is_refused(keys: Keys, key: str, message: str):
    """Whatever comes instead of a key is refused in one line that does not repeat it."""
    answer = keys("import", "hot", *CHEAP, key_fd=key, passphrase_fd=FIRST)
    assert answer.code == Exit.REFUSED
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not keys.directory.exists()


def test_unreadable_files_are_listed_as_such(keys: Keys):
    """A damaged keystore does not hide the others: it is named, and the exit code is 1."""
    keys.add()
    (keys.directory / "bad.keystore").write_bytes(b"x")
    (keys.directory / "bad.keystore").chmod(0o600)
    answer = keys("list")
    assert answer.code == Exit.DIRTY
    assert ADDRESS in answer.out
    assert str(keys.directory / "bad.keystore") in answer.err


def test_open_permissions_are_refused(keys: Keys):
    """A keystore that its group can read is refused before its passphrase is read."""
    path = Path(keys.add().json["file"])
    path.chmod(0o640)
    answer = keys("verify", "hot", passphrase_fd=FIRST)
    assert answer.code == Exit.REFUSED
    assert f"file={path}, mode=640" in answer.err


def test_usage_errors_are_two(keys: Keys):
    """A missing name, an unknown option and a cost out of bounds are usage errors."""
    for arguments in (["verify"], ["list", "--nope"], ["new", "hot", "--memory-mib", "1"]):
        assert keys(*arguments).code == Exit.USAGE


@pytest.mark.parametrize("before", [["import", "hot", "--key"], []])
def test_a_key_on_the_command_line_is_refused_unquoted(before: list[str]):
    """Wherever a private key is pasted among the arguments, it is refused and never repeated."""
    answer = run(*before, f"0x{KEY}")
    assert answer.code == Exit.REFUSED
    assert "must not be on the command line" in answer.err


@pytest.mark.parametrize("name", ["PRIVATE_KEY", "HALFTICK_PRIVATE_KEY", "POLY_PASSPHRASE"])
def test_a_key_in_the_environment_is_refused(keys: Keys, monkeypatch, name: str):
    """No command that handles keys runs with a secret in its environment."""
    keys.add()
    monkeypatch.setenv(name, KEY)
    for command in ("verify", "rotate", "new", "import"):
        answer = keys(command, "hot")
        assert answer.code == Exit.REFUSED
        assert f"variable={name}" in answer.err


def test_the_held_key_is_found_in_the_environment_under_any_name(keys: Keys, monkeypatch):
    """verify looks for the very key it opened, whatever the variable is called."""
    keys.add()
    monkeypatch.setenv("NOTES", f"x{KEY}y")
    answer = keys("verify", "hot", passphrase_fd=FIRST)
    assert answer.code == Exit.REFUSED
    assert "variable=NOTES" in answer.err


def test_systemd_credential_opens(keys: Keys, tmp_path: Path, monkeypatch):
    """A service opens its keystore by the credential systemd gives it."""
    keys.add()
    credential = tmp_path / "halftick-passphrase"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    credential.write_text(FIRST + "\n")
    assert keys("verify", "hot").code == Exit.CLEAN
    credential.write_text("")
    assert "is empty" in keys("verify", "hot").err


def test_nobody_to_ask_is_refused(keys: Keys, tmp_path: Path):
    """Without descriptor, credential or terminal the command refuses, and waits for nobody."""
    keys.add()
    answer = run(
        "verify", "hot", "--directory", str(keys.directory), CREDENTIALS_DIRECTORY=str(tmp_path)
    )
    assert answer.code == Exit.REFUSED
    assert "no terminal" in answer.err


def test_bad_descriptors_are_refused(keys: Keys):
    """A descriptor that is not open is refused by its number."""
    keys.add()
    answer = keys("verify", "hot", "--passphrase-fd", "77")
    assert answer.code == Exit.REFUSED
    assert "descriptor=77" in answer.err


class Typist:
    """A person at a terminal: waits for each prompt, types, and keeps what the screen shows."""

    def __init__(self, *arguments: str) -> None:
        self.screen = ""
        self._terminal, screen = pty.openpty()
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=clean_environment(TERM="dumb"),
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )
        os.close(screen)

    def answer(self, prompt: str, text: str) -> None:
        """Wait until the screen ends with `prompt`, then type a line."""
        while not self.screen.rstrip().endswith(prompt):
            assert self._read(), f"no prompt: expected={prompt}, screen={self.screen}"
        os.write(self._terminal, text.encode() + b"\n")
        self.screen += "\n"

    def finish(self) -> int:
        """Wait for the end; return the exit code."""
        while self._read():
            pass
        os.close(self._terminal)
        return self._process.wait(DEADLINE_S)

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], DEADLINE_S)[0]:
            return False
        try:
            text = os.read(self._terminal, 4096)
        except OSError:  # the other end is gone
            return False
        self.screen += text.decode()
        return bool(text)


def test_passphrase_is_typed_twice_and_never_shown(keys: Keys):
    """At a terminal the key and the passphrase are asked for; nothing typed appears on screen."""
    at = ("--directory", str(keys.directory))
    typist = Typist("import", "hot", *CHEAP, *at)
    typist.answer("private key:", KEY)
    typist.answer("new passphrase for hot:", FIRST)
    typist.answer("new passphrase for hot again:", FIRST)
    assert typist.finish() == Exit.CLEAN
    assert ADDRESS in typist.screen
    assert KEY not in typist.screen
    assert FIRST not in typist.screen
    second = Typist("verify", "hot", *at)
    second.answer("passphrase of hot:", FIRST)
    assert second.finish() == Exit.CLEAN


def test_passphrases_typed_differently_make_no_file(keys: Keys):
    """Two different typings make no keystore."""
    typist = Typist("new", "hot", *CHEAP, "--directory", str(keys.directory))
    typist.answer("new passphrase for hot:", FIRST)
    typist.answer("new passphrase for hot again:", SECOND)
    assert typist.finish() == Exit.REFUSED
    assert "typed differently" in typist.screen
    assert not keys.directory.exists()


HARDENED = """
import ctypes, os, resource, sys
from engine.cli.keys import keys_app
try:
    keys_app()(args=sys.argv[1:])
except BaseException as error:
    print(type(error).__name__)
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
print(*resource.getrlimit(resource.RLIMIT_CORE))
print(oct(os.umask(0)))
"""


def test_a_process_that_holds_a_key_is_hardened(keys: Keys):
    """It cannot be read by a debugger of the same user, leaves no core, and writes privately."""
    done = subprocess.run(
        [sys.executable, "-c", HARDENED, "verify", "none", "--directory", str(keys.directory)],
        env=clean_environment(), capture_output=True, text=True, timeout=DEADLINE_S,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["RefuseError", "0", "0 0", "0o77"]
