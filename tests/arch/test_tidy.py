"""House rules that a machine can check."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sources import ROOT, project_files, tree

LINES_MAX = 400
PYTHON = [path for path in project_files() if path.suffix == ".py"]
TESTS = [path for path in PYTHON if path.parts[0] in {"tests", "bench"}]
TEXT = [
    path
    for path in project_files()
    if path.suffix in {".cfg", ".ini", ".json", ".md", ".py", ".sql", ".toml", ".yaml", ".yml"}
    or path.name in {"Makefile", "run", ".gitignore", "requirements.lock"}
]

# Written so that this file does not contain what it looks for.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/(?:home|root|Users|work|mnt|workspace)/")
REGISTRY_HOST = re.compile(
    r"https?://[^\s/]*(?:py" + r"pi|pythonhosted|npm" + r"js|crates\.i" + r"o|artifactory)"
)


def found(pattern: re.Pattern[str]) -> list[str]:
    """Return `file:line` for every line of the project that has the pattern."""
    return [
        f"{path}:{number}"
        for path in TEXT
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function and method of a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree(path)) if isinstance(node, kinds)]


def test_files_can_be_held_in_the_head():
    """No source file outside the tests is longer than 400 lines: there is a second noun in it."""
    long = {
        str(path): lines
        for path in PYTHON
        if path.parts[0] != "tests"
        and (lines := len((ROOT / path).read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def test_nothing_is_left_for_later():
    """The tree has no notes to ourselves."""
    assert found(UNFINISHED) == []


def test_no_file_names_a_machine():
    """No path of the machine something was written on, and no package registry, is in the tree."""
    assert found(MACHINE_PATH) == []
    assert found(REGISTRY_HOST) == []


def test_package_files_are_empty():
    """Importing a package runs nothing: every `__init__.py` is empty."""
    full = [
        str(path) for path in PYTHON if path.name == "__init__.py" and (ROOT / path).read_text()
    ]
    assert full == []


def test_every_file_says_what_it_is():
    """Every Python file that is not empty begins with a docstring."""
    silent = [str(path) for path in PYTHON if tree(path).body and not ast.get_docstring(tree(path))]
    assert silent == []


@pytest.mark.parametrize("folder", ["tests", "bench"])
def test_every_test_states_its_fact(folder: str):
    """The docstrings of the tests, read alone, are the specification."""
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path in TESTS
        if path.parts[0] == folder
        for function in functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_no_test_waits_by_sleeping():
    """Tests wait for a condition with a deadline: a fixed sleep is too short or too long."""
    sleepers = [
        f"{path}:{node.lineno}"
        for path in TESTS
        if path.name.startswith("test_")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr == "sleep"
        and isinstance(node.value, ast.Name)
        and node.value.id == "time"
    ]
    assert sleepers == []


def test_every_file_of_tests_has_its_own_name():
    """Test files are told apart by name alone, whatever folder they are in."""
    names = [
        path.name for path in TESTS if path.name.startswith("test_") and path.parts[0] == "tests"
    ]
    assert sorted(names) == sorted(set(names))
