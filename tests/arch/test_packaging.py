"""What is installed is exactly the three packages and the command."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import PACKAGES, ROOT, modules


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built here by the build backend itself: no isolation, no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    with zipfile.ZipFile(built) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata_dir() -> str:
    """The wheel's folder of metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return f"{project['name']}-{project['version']}.dist-info"


def test_the_wheel_has_three_packages_and_nothing_else(wheel: zipfile.ZipFile, metadata_dir: str):
    """`engine`, `feeds` and `signer` are the only top-level names beside the metadata."""
    top = {Path(name).parts[0] for name in wheel.namelist()}
    assert top == {*PACKAGES, metadata_dir}


def test_the_wheel_has_every_module(wheel: zipfile.ZipFile):
    """No module of the checkout is missing from the wheel."""
    assert {str(path) for path in modules().values()} <= set(wheel.namelist())


def test_the_wheel_has_no_tests_and_no_leftovers(wheel: zipfile.ZipFile):
    """Nothing compiled, cached or run here is shipped."""
    leftovers = [
        name
        for name in wheel.namelist()
        if "__pycache__" in name or name.endswith((".pyc", ".ring"))
    ]
    assert leftovers == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_that_it_is_typed(wheel: zipfile.ZipFile, package: str):
    """Type checkers of users read our annotations."""
    assert f"{package}/py.typed" in wheel.namelist()


def test_the_command_is_halftick(wheel: zipfile.ZipFile, metadata_dir: str):
    """Installing gives one command, and its function exists."""
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(f"{metadata_dir}/entry_points.txt").decode())
    assert dict(entries["console_scripts"]) == {"halftick": "engine.cli.main:main"}
    assert "engine.cli.main" in modules()


def test_the_three_packages_live_in_one_folder():
    """What is imported as `engine`, `feeds` and `signer` comes from one place."""
    import engine
    import feeds
    import signer

    parents = {Path(package.__file__).parents[1] for package in (engine, feeds, signer)}
    assert len(parents) == 1
