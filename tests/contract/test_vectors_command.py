"""`halftick vectors`: every golden row is equal, and nothing wrong is called equal."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import call
from engine.vectors.case import VectorFileError
from engine.vectors.check import CHECKERS, check_file, check_folder, checker_of, count

# Lists of rows to be changed one by one, and the columns that say nothing a checker computes:
# names and notes, what other clients made of a row, and inputs that any value is as good for.
SECTIONS = {
    "amounts_limit": ("rows",),
    "amounts_market": ("rows",),
    "auth_l1": ("vectors",),
    "auth_l2": ("vectors",),
    "book_hash": ("vectors",),
    "domain_separators": ("domains",),
    "orders_v1": ("vectors",),
    "orders_v2": ("vectors",),
    "orders_v3": ("vectors",),
    "position_ids": ("vectors",),
    "relayer": ("calls", "wallet_batches", "safe", "proxy", "session"),
    "wallets": ("vectors",),
}
FREE = {
    ("amounts_limit", "6"),
    ("amounts_limit", "7"),
    ("amounts_market", "6"),
    ("amounts_market", "7"),
    ("book_hash", "book.hash"),
    ("orders_v3", "neg_risk"),  # one exchange for both
    ("relayer", "kind"),  # another function: not computed
    ("relayer", "submit_body.metadata"),
}
TIED = {"id", "note"}
JSON = Any


def leaves(value: JSON, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], JSON]]:
    """Every value that is not a container, with the way to it."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def changed(value: JSON) -> JSON:
    """Another value of the same kind, as near as can be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if not value:
        return "1"
    last = value[-1]
    other = str((int(last) + 1) % 10) if last.isdigit() else "b" if last in "aA" else "a"
    return value[:-1] + other


def put(document: JSON, path: tuple[Any, ...], value: JSON) -> JSON:
    """A copy of a document with one value replaced."""
    copied = copy.deepcopy(document)
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copied


def only_first_row(document: JSON, section: str) -> JSON:
    """A document with one row of one section, and none of the others'."""
    alone = {
        key: [] if isinstance(value, list) and key not in ("columns", section) else value
        for key, value in document.items()
        if key != "contract_baseline"
    }
    rows = document[section]
    alone[section] = rows[:1] if isinstance(rows, list) else dict([next(iter(rows.items()))])
    return alone


def is_equal(name: str, document: JSON) -> bool:
    """Whether a document of a kind would be called equal."""
    checker = checker_of(f"{name}.json")
    assert checker is not None
    try:
        result = count(name, checker(document))
    except VectorFileError:
        return False
    return result.is_good and result.equal > 0


def run(*arguments: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command; return its exit code, stdout and stderr."""
    code = call(["vectors", *arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_every_golden_vector_is_equal(shared_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every row of every file that can be computed here is, and equals the official clients'."""
    code, out, _ = run(str(shared_dir / "vectors"), "--json", capfd=capfd)
    found = json.loads(out)
    assert code == 0, [file for file in found["files"] if not file["is_good"]]
    assert found["equal"] is True
    files = {file["file"]: file for file in found["files"]}
    names = {path.name for path in (shared_dir / "vectors").glob("*.json")}
    assert files.keys() == names
    for name, file in files.items():
        assert file["different"] == 0
        assert file["checked"] == file["equal"]
        if not name.startswith("quant_"):
            assert file["not_computed"] == 0, name
            assert file["checked"] > 0, name
    rows = json.loads((shared_dir / "vectors/amounts_limit.json").read_text())["rows"]
    assert files["amounts_limit.json"]["checked"] == len(rows)


def test_each_file_has_one_line(shared_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A person reads name, checked, equal and different; other files are named as unknown."""
    code, out, _ = run(str(shared_dir / "vectors"), capfd=capfd)
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert code == 0
    assert lines["README.md"] == ["unknown"]
    checked, equal, different, _ = lines["orders_v2.json"]
    assert (checked, different) == (equal, "0")


@pytest.mark.parametrize("name", SECTIONS)
def test_a_changed_value_is_noticed(shared_dir: Path, name: str) -> None:
    """Whatever one value of a row is changed to, input or result, the row is not equal any more."""
    document = json.loads((shared_dir / "vectors" / f"{name}.json").read_text())
    missed = []
    for section in SECTIONS[name]:
        alone = only_first_row(document, section)
        assert is_equal(name, alone)
        for path, value in leaves(alone[section]):
            column = ".".join(str(key) for key in path[1:])
            if path[-1] in TIED or (name, column) in FREE:
                continue
            if is_equal(name, put(alone, (section, *path), changed(value))):
                missed.append((section, column, value))
    assert missed == []


def test_the_first_difference_names_row_field_and_both_values(
    shared_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, and what is shown is where to look."""
    document = json.loads((shared_dir / "vectors/orders_v2.json").read_text())
    row = document["vectors"][7]
    wrong = changed(row["signature"])
    (tmp_path / "orders_v2.json").write_text(
        json.dumps(put(document, ("vectors", 7, "signature"), wrong))
    )
    (tmp_path / "notes.txt").write_text("not a vector file")
    code, out, _ = run(str(tmp_path), "--json", capfd=capfd)
    found = json.loads(out)
    assert code == 1
    assert found["unknown"] == ["notes.txt"]
    (file,) = found["files"]
    assert (file["different"], file["equal"]) == (1, len(document["vectors"]) - 1)
    assert file["first_difference"] == {
        "id": row["id"],
        "field": "signature",
        "expected": wrong,
        "got": row["signature"],
    }
    code, out, _ = run(str(tmp_path), capfd=capfd)
    assert code == 1
    assert f"first at {row['id']}, signature: expected …" in out


def test_amounts_are_compared_by_their_exact_columns(shared_dir: Path, tmp_path: Path) -> None:
    """What binary floats made of a row does not matter, and neither does the columns' order."""
    for name in ("amounts_limit", "amounts_market"):
        document = json.loads((shared_dir / f"vectors/{name}.json").read_text())
        for row in document["rows"]:
            row[6] = row[7] = "1"
        for part in (document["columns"], *document["rows"]):
            part.reverse()
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    result = check_folder(tmp_path)
    assert result.is_good
    assert all(file.equal > 0 for file in result.files)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "null", "{}", '{"vectors": 3}', "\x00"])
@pytest.mark.parametrize("kind", CHECKERS)
def test_a_malformed_file_is_a_line_and_no_traceback(
    tmp_path: Path, kind: str, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that is no JSON or has another layout makes the exit code 1 and says why."""
    (tmp_path / f"{kind}.json").write_text(text)
    code, out, err = run(str(tmp_path), capfd=capfd)
    assert code == 1
    assert "  the file " in out
    assert "Traceback" not in out + err


HOSTILE: tuple[JSON, ...] = (
    None,
    [],
    {},
    -1,
    10**30,
    1.5,
    True,
    "",
    "x",
    "0x",
    "9" * 5000,
    "1e999",
)


@pytest.mark.parametrize("name", [*SECTIONS, "fees", "price_grid"])
def test_a_value_of_any_type_breaks_nothing(shared_dir: Path, name: str) -> None:
    """A row that makes no sense is counted or refused by name; it never stops the command."""
    document = json.loads((shared_dir / "vectors" / f"{name}.json").read_text())
    checker = checker_of(f"{name}.json")
    assert checker is not None
    for section in SECTIONS.get(name, tuple(document.keys() & {"rows", "tables"})):
        alone = only_first_row(document, section)
        for index, (path, _) in enumerate(leaves(alone[section])):
            value = HOSTILE[index % len(HOSTILE)]
            try:
                count(name, checker(put(alone, (section, *path), value)))
            except VectorFileError:
                continue


@pytest.mark.parametrize("topic", ["dutch", "fees", "latency", "market_making", "paper"])
def test_a_formula_given_nonsense_is_a_difference(shared_dir: Path, topic: str) -> None:
    """Whatever a formula's inputs are, it neither raises nor runs for ever."""
    document = json.loads((shared_dir / "vectors" / f"quant_{topic}.json").read_text())
    by_function = {case["fn"]: case for case in document["cases"]}
    for case in by_function.values():
        for path, _ in list(leaves(case["in"]))[:40]:
            hostile = [put(case, ("in", *path), value) for value in HOSTILE]
            result = count(topic, CHECKERS["quant"]({"cases": hostile}))
            assert result.checked + result.not_computed == len(HOSTILE)


@pytest.mark.parametrize(
    ("name", "section"),
    [
        *(("relayer", section) for section in SECTIONS["relayer"]),
        ("fees", "tables"),
        ("fees", "buy_amount_adjustment"),
        ("orders_v3", "vectors"),
        ("orders_v3", "contract_baseline"),
        ("wallets", "chain_id"),
    ],
)
def test_a_file_is_checked_for_the_sections_it_has(
    shared_dir: Path, tmp_path: Path, name: str, section: str
) -> None:
    """A file that lacks one section has fewer rows, all of them compared, and is no failure."""
    document = json.loads((shared_dir / "vectors" / f"{name}.json").read_text())
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(document))
    checker = CHECKERS[name.partition("_")[0]]
    whole = check_file(path, checker)
    del document[section]
    path.write_text(json.dumps(document))
    part = check_file(path, checker)
    assert (part.error, part.different) == (None, 0)
    assert 0 < part.equal <= whole.equal
    assert (part.equal == whole.equal) == (section == "chain_id")


def test_a_v2_book_is_hashed_with_its_version(shared_dir: Path) -> None:
    """The version of a book of protocol V2 is part of its hash, in the eleventh place."""
    document = json.loads((shared_dir / "vectors/book_hash.json").read_text())
    (row,) = [row for row in document["vectors"] if "version" in row["book"]]
    assert is_equal("book_hash", {"vectors": [row]})
    for version in ("v1", "v3", ""):
        assert not is_equal("book_hash", {"vectors": [put(row, ("book", "version"), version)]})


def test_deep_nesting_is_a_line(tmp_path: Path) -> None:
    """A bomb of brackets is refused by the parser, and named."""
    path = tmp_path / "wallets.json"
    path.write_text("[" * 100_000)
    result = check_file(path, CHECKERS["wallets"])
    assert result.error is not None
    assert result.error.startswith("is not JSON")


def test_a_row_without_a_field_names_it(tmp_path: Path) -> None:
    """A missing field is a difference of its row."""
    path = tmp_path / "wallets.json"
    path.write_text(json.dumps({"chain_id": 137, "vectors": [{"eoa": "0x"}]}))
    found = check_file(path, CHECKERS["wallets"]).first_difference
    assert found is not None
    assert (found.id, found.field, found.got) == ("vectors[0]", "private_key", "none")


def test_a_private_key_is_never_shown(tmp_path: Path) -> None:
    """What is wrong with a key is said without the key."""
    path = tmp_path / "wallets.json"
    secret = "0xsecret" + "5" * 58
    rows = [{"private_key": secret}, {"private_key": "0x" + "ff" * 32}]
    path.write_text(json.dumps({"chain_id": 137, "vectors": rows}))
    result = check_file(path, CHECKERS["wallets"])
    assert result.different == 2
    assert "secret" not in str(result.first_difference)


@pytest.mark.parametrize("folder", ["absent", "empty", "file"])
def test_a_folder_with_nothing_to_check_is_refused(
    tmp_path: Path, folder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """No folder, no vector files in it, or no folder at all: exit code 78 and one line."""
    target = tmp_path / folder
    if folder == "empty":
        target.mkdir()
        (target / "README.md").write_text("no vectors")
    elif folder == "file":
        target.write_text("{}")
    code, out, err = run(str(target), capfd=capfd)
    assert (code, out) == (78, "")
    assert err.count("\n") == 1
    assert str(target) in err


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("orders_v3.json", True),
        ("orders_hidden.json", True),
        ("quant_fees.json", True),
        ("wallets.json", True),
        ("wallets.json.bak", False),
        ("walletsx.json", False),
        ("README.md", False),
    ],
)
def test_a_file_is_known_by_its_name(name: str, is_known: bool) -> None:
    """A kind is how a name begins; backups and strangers are not read."""
    assert (checker_of(name) is not None) is is_known
