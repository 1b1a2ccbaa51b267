"""Marked secrets are traded with, provoked and killed with; then they are looked for everywhere.

One run of the real processes on the local exchange: the account comes out of a keystore, orders are
sent, a feed and the venue are killed. What may be read by others, while it runs and after it, is
kept as evidence; a mark in any of it, in any usual spelling, is a leak. Only the sockets are not
looked at: the venue is sent the API passphrase by design.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from signer_harness import API as HARNESS_API
from signer_harness import PRIVATE_KEY as HARNESS_KEY
from signer_harness import Venue, trading
from toys import toy_settings, wait_for

import engine.cli
from engine.backoffice.report import write_report
from engine.backoffice.summary import summarize
from engine.bus.counters import CounterFile
from engine.cli.keyring import Keyring
from engine.host.clock import Clock
from engine.host.config.load import load_settings
from engine.host.errors import Exit
from engine.host.runfile import RunFile
from engine.host.secrets import account_of
from engine.wire.codes import Kind
from signer.keystore import Cost, KeyMaterial
from signer.log_format import scan

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEADLINE_S = 90.0
NAME = "marked"
KEY_MARK = secrets.token_hex(32)
SECRET_MARK = base64.urlsafe_b64encode(secrets.token_bytes(24)).decode()
PASS_MARK = "pass-mark-" + secrets.token_hex(12)


def spellings(secret: str) -> set[bytes]:
    """Return the forms a secret could leak in: as it is, decoded, in hex, base64 and decimal."""
    text = secret.removeprefix("0x")
    forms = {text.encode()}
    try:
        forms.add(bytes.fromhex(text))
        forms.add(str(int(text, 16)).encode())
    except ValueError:
        if len(text) % 4 == 0 and text.isascii() and " " not in text:
            forms.add(base64.urlsafe_b64decode(text))
    for raw in list(forms):
        forms.add(raw.hex().encode())
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(raw).rstrip(b"="))
    return {form for form in forms if len(form) >= 12}


def leaks(evidence: dict[str, bytes], secret: str) -> list[str]:
    """Return where a secret is found, whatever the case of its letters."""
    forms = {form.lower() for form in spellings(secret)}
    return [where for where, seen in evidence.items() if any(f in seen.lower() for f in forms)]


def files_below(directory: Path) -> dict[str, bytes]:
    """Return every file below a directory; pipes and sockets are none."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def seen_of(pids: dict[str, int]) -> dict[str, bytes]:
    """Return what /proc shows of processes to whoever may look."""
    seen = {}
    for name, pid in pids.items():
        for what in ("environ", "cmdline", "comm", "status"):
            try:
                seen[f"{name}: /proc/{what}"] = Path(f"/proc/{pid}/{what}").read_bytes()
            except PermissionError:
                assert what == "environ", f"hidden: process={name}, file={what}"
    return seen


@dataclass
class MarkedRun:
    """What was found of a run, and the secrets it was given."""

    marks: dict[str, str]
    evidence: dict[str, bytes] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    owners: dict[str, int] = field(default_factory=dict)
    state_dir: Path = Path()


class Exchange:
    """The local exchange, as the venue of a run that does not own it."""

    def __init__(self, truth: Path) -> None:
        command = [sys.executable, "-m", "engine.exchange", "--ready-json", "--hold"]
        options = ["--markets", "1", "--speed", "300", "--truth", str(truth)]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def start(self) -> None:
        """Let it play."""
        request = urllib.request.Request(self.ready["start"], method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def close(self) -> bytes:
        """Kill it; return what it said after its ready line."""
        self.process.kill()
        out, err = self.process.communicate()
        return out + err


def run_settings(exchange: Exchange, state_dir: Path, metrics_port: int) -> dict[str, Any]:
    """Return the demo's settings on this exchange."""
    settings = load_settings(Path(engine.cli.__path__[0]) / "demo.toml").to_json()
    ready = exchange.ready
    settings["run"] |= {"name": NAME, "directory": str(state_dir)}
    settings["venue"] |= {
        "rest_url": ready["rest"],
        "market_ws_url": ready["market_ws"],
        "user_ws_url": ready["user_ws"],
        "gamma_url": ready["gamma"],
    }
    settings["markets"] = {"slugs": [each["slug"] for each in ready["markets"]], "series_ids": []}
    settings["recorder"]["metrics_port"] = metrics_port
    settings["host"]["stop_ms_max"] = 500
    return settings


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def count(runtime_dir: Path, process: str, name: str) -> int:
    """Return a counter of a running process, 0 while there is none."""
    try:
        counters = CounterFile.attach(runtime_dir / f"{process}.counters")
    except Exception:  # noqa: BLE001  not there yet
        return 0
    try:
        return counters.snapshot().get(name, 0)
    finally:
        counters.close()


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarkedRun]:
    """Trade, kill a feed, kill the venue, stop; return all the evidence."""
    directory = tmp_path_factory.mktemp("marked")
    state_dir = directory / "state"
    with ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="ht", dir="/dev/shm"))
        exchange = Exchange(directory / "truth.jsonl")
        stack.callback(exchange.close)
        account = account_of(exchange.ready["accounts"][0])
        assert account.private_key is not None
        passphrase = "keystore-mark-" + secrets.token_hex(12)
        material = KeyMaterial.of(bytearray.fromhex(account.private_key[2:]), api=account.api)
        keyring = Keyring(directory / "keys")
        keyring.add("hot", material, bytearray(passphrase.encode()), Cost(1024, 1, 1))
        found = MarkedRun(
            {
                "private key": account.private_key,
                "API secret": account.api.secret,
                "API passphrase": account.api.passphrase,
                "keystore passphrase": passphrase,
            },
            state_dir=state_dir,
        )
        metrics_port = free_port()
        settings = directory / "settings.json"
        settings.write_text(json.dumps(run_settings(exchange, state_dir, metrics_port)))
        source, target = os.pipe()
        os.write(target, passphrase.encode())
        os.close(target)
        process = subprocess.Popen(
            [sys.executable, str(HERE / "marked_run.py"), str(settings), str(keyring.directory),
             "hot", str(source)],
            pass_fds=[source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HALFTICK_RUNTIME_DIR": root},
        )  # fmt: skip
        os.close(source)
        stack.enter_context(process)
        stack.callback(process.kill)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1].decode()
        pids = json.loads(line)
        runtime_dir = Path(root) / f"halftick-{os.getuid()}" / NAME
        wait_for(lambda: count(runtime_dir, "core", "instruments") >= 2, "markets are known")
        exchange.start()
        wait_for(lambda: count(runtime_dir, "core", "fills") > 0, "orders are filled", DEADLINE_S)

        found.evidence |= seen_of({**pids, "exchange": exchange.process.pid})
        for name, pid in pids.items():
            found.limits[name] = Path(f"/proc/{pid}/limits").read_text()
            found.owners[name] = os.stat(f"/proc/{pid}/mem").st_uid
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10)
        found.evidence["metrics"] = metrics.read()
        found.evidence |= {f"running: {k}": v for k, v in files_below(runtime_dir).items()}

        os.kill(pids["feeds.market"], signal.SIGKILL)
        wait_for(
            lambda: (
                count(runtime_dir, "feeds.market", "pid") not in (0, pids["feeds.market"])
                and count(runtime_dir, "feeds.market", "state") == 1
            ),
            "feed is back",
        )
        found.evidence["exchange: output"] = exchange.close()
        # The signer and the feed both meet a dead venue: their errors are part of the evidence.
        wait_for(lambda: count(runtime_dir, "feeds.market", "gamma_errors") > 0, "feed complains")
        found.evidence |= {f"lost: {k}": v for k, v in files_below(runtime_dir).items()}
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=DEADLINE_S)
        found.evidence["run: output"] = out + err
        write_report(summarize(state_dir / "tape.ht"), state_dir / "report.html")
        for command in (["orderlog", "dump", "--json", "orders.log"], ["tape", "dump", "tape.ht"]):
            done = subprocess.run(
                [sys.executable, "-m", "engine.cli.main", *command[:-1], state_dir / command[-1]],
                capture_output=True, cwd=ROOT, check=True,
            )  # fmt: skip
            found.evidence[" ".join(command)] = done.stdout + done.stderr
        found.evidence |= files_below(directory)
        yield found


@pytest.mark.slow
def test_the_evidence_is_whole(marked: MarkedRun):
    """The run really traded and failed: every kind of evidence is there and says something."""
    kinds = {
        "orders.log", "tape.ht", "halftick.db", "report.html", "truth.jsonl", "run.json",
        "orders.ring", "exec.ring", "tape.ring", "signer.counters", "signer.jsonl", "core.jsonl",
        "feeds.market.jsonl", "recorder.jsonl", "signer.out", "hot.keystore",
    }  # fmt: skip
    assert kinds <= {Path(where).name for where in marked.evidence}
    entries = scan((marked.state_dir / "orders.log").read_bytes(), "orders.log").entries
    assert entries
    assert marked.evidence["metrics"].startswith(b"# HELP")
    assert b"--secrets-fd" in marked.evidence["signer: /proc/cmdline"]
    assert b'"kind":"LEVELS"' in marked.evidence["tape dump tape.ht"]
    assert b"body" in marked.evidence["orderlog dump --json orders.log"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "mark", ["private key", "API secret", "API passphrase", "keystore passphrase"]
)
def test_no_mark_is_anywhere(marked: MarkedRun, mark: str):
    """The secret is in no log, tape, order log, database, metric, report, ring, /proc or output."""
    assert leaks(marked.evidence, marked.marks[mark]) == []


@pytest.mark.parametrize("secret", ["0x" + KEY_MARK, SECRET_MARK, PASS_MARK])
def test_the_search_finds_what_it_looks_for(secret: str):
    """Each spelling of a secret, in any case, amid anything, is found: silence means something."""
    for form in spellings(secret):
        assert leaks({"here": b"<" + form + b">"}, secret) == ["here"]
        assert leaks({"here": b"<" + form[:-1]}, secret) == []
    text = secret.upper().encode()
    assert leaks({"here": text, "there": b"nothing"}, secret) == ["here"]


@pytest.mark.slow
def test_no_process_leaves_a_core(marked: MarkedRun):
    """Every process of the run has a core size limit of zero, soft and hard."""
    assert set(marked.limits) >= {"supervisor", "signer", "core", "recorder", "feeds.market"}
    for name, limits in marked.limits.items():
        (line,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], name


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="everything is root's: ownership says nothing")
def test_the_signer_cannot_be_read_by_its_own_user(marked: MarkedRun):
    """The kernel gives a non-dumpable process's memory to root, and no other process's."""
    assert marked.owners["signer"] == 0
    assert marked.owners["core"] == os.geteuid()


DUMPABLE = """
import ctypes, sys
from signer.__main__ import main
code = main([sys.argv[1], "--secrets-fd", "99"])
print(code, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_the_signer_hides_before_it_reads(tmp_path: Path):
    """The signer is non-dumpable before it reads any secret: a refusal leaves it so."""
    done = subprocess.run(
        [sys.executable, "-c", DUMPABLE, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split() == ["78", "0"]


ACCOUNT = {
    "private_key": "0x" + KEY_MARK,
    "address": "0x" + "11" * 20,
    "funder": "0x" + "11" * 20,
    "api": {"key": "id", "secret": SECRET_MARK, "passphrase": PASS_MARK},
}
WHOLE = json.dumps(ACCOUNT).encode()
BROKEN = {
    "nothing": b"",
    "cut": WHOLE[:-20],
    "not UTF-8": WHOLE.replace(b"pass-mark", b"pass\xffmark"),
    "a list": json.dumps([ACCOUNT]).encode(),
    "nested": b"[" * 60_000 + WHOLE,
    "too long": WHOLE + b" " * 70_000 + WHOLE,
    "key is a number": json.dumps(ACCOUNT | {"private_key": int(KEY_MARK, 16)}).encode(),
    "key is not hex": json.dumps(ACCOUNT | {"private_key": f"0x{KEY_MARK}zz"}).encode(),
    "key is short": json.dumps(ACCOUNT | {"private_key": f"0x{KEY_MARK[:-2]}"}).encode(),
    "funder of another": json.dumps(ACCOUNT | {"funder": "0x" + "22" * 20}).encode(),
    "no API passphrase": json.dumps(ACCOUNT | {"api": {"secret": SECRET_MARK}}).encode(),
    "API secret is a list": json.dumps(
        ACCOUNT | {"api": ACCOUNT["api"] | {"secret": [SECRET_MARK]}}  # type: ignore[operator]
    ).encode(),
    "no rings to attach to": WHOLE,
}  # fmt: skip


# One process goes through all cases: what is tested is what it says, and starting takes a second.
PROVOKED = """
import base64, contextlib, io, json, os, sys, traceback
from importlib import import_module
main = import_module(sys.argv[1]).main
said = {}
for what, text in json.load(sys.stdin).items():
    file = open(os.memfd_create(what), "w+b", closefd=False)
    file.write(base64.b64decode(text))
    file.seek(0)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            code = main([*sys.argv[2:], "--secrets-fd", str(file.fileno())])
        except BaseException:
            code = traceback.format_exc()
    said[what] = [code, out.getvalue()]
print(json.dumps(said))
"""


@pytest.mark.parametrize(
    "process", [["signer.__main__"], ["feeds.__main__", "market"]], ids=["signer", "feeds"]
)
def test_refusals_quote_no_secret(tmp_path: Path, process: list[str]):
    """However the secrets are broken, a process ends in one line, without a trace and a quote."""
    runtime = RunFile(
        1, Clock.anchored().offset_ns, toy_settings(tmp_path / "state").to_json(),
        str(tmp_path / "state"), runtime_dir=tmp_path,
    )  # fmt: skip
    runtime.save()
    cases = {what: base64.b64encode(text).decode() for what, text in BROKEN.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROVOKED, *process, str(tmp_path)],
        input=json.dumps(cases), capture_output=True, text=True, cwd=ROOT, timeout=DEADLINE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    evidence = {"output": (done.stdout + done.stderr).encode(), **files_below(tmp_path)}
    for secret in (KEY_MARK, KEY_MARK[:-2], SECRET_MARK, PASS_MARK):
        assert leaks(evidence, secret) == []
    for what, (code, said) in json.loads(done.stdout).items():
        assert code in (Exit.DIRTY, Exit.REFUSED), (what, code)
        assert said.count("\n") == 1, (what, said)


async def test_a_venue_that_repeats_our_headers_teaches_nobody(tmp_path: Path):
    """A venue that answers with our own request headers does not get them into anything we keep."""
    statuses = iter([200, 400, 401, 403, 429, 500, 503])
    echoed: list[str] = []

    async def repeat(request: web.Request) -> web.StreamResponse:
        said = json.dumps(dict(request.headers))
        echoed.append(said)
        status = next(statuses, 400)
        if status == 403:
            return web.Response(
                status=status, text=f"<html>{said}</html>", content_type="text/html"
            )
        return web.json_response(
            {"success": False, "errorMsg": said, "error": said, "not_canceled": {said: said}},
            status=status,
        )

    venue = Venue()
    venue.on_order = venue.on_cancel = venue.on_cancel_all = venue.on_look_up = repeat
    async with trading(tmp_path, venue) as desk:
        for order_id in range(1, 8):
            desk.order(order_id)
            await desk.until(
                lambda order_id=order_id: (
                    desk.report(Kind.REJECT, order_id) or desk.report(Kind.UNKNOWN, order_id)
                ),
                "an outcome",
            )
        desk.cancel_all()
        await desk.until(lambda: venue.cancel_alls, "cancel-all")
        running = files_below(tmp_path)
        venue.on_cancel_all, venue.on_look_up = venue.cancel_everything, venue.not_found
        await desk.stop()
        evidence = {**running, **files_below(tmp_path), "stderr": desk.stderr.encode()}
    assert HARNESS_API["passphrase"] in echoed[0]
    assert any(where.endswith("orders.log") for where in evidence)
    for secret in (HARNESS_KEY, HARNESS_API["secret"], HARNESS_API["passphrase"]):
        assert leaks(evidence, secret) == []
