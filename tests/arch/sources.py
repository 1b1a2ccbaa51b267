"""The project's own source files, for the tests that read them."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "feeds", "signer")


@cache
def project_files() -> tuple[Path, ...]:
    """Return every file of the project that git knows or would add, by path from the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = (Path(name) for name in listing.stdout.split("\0") if name)
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


@cache
def modules() -> dict[str, Path]:
    """Return every module of the three packages by its dotted name."""
    return {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path
        for path in project_files()
        if path.suffix == ".py" and path.parts[0] in PACKAGES
    }


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file given by its path from the root."""
    return ast.parse((ROOT / path).read_text(), str(path))


@cache
def imports(module: str) -> frozenset[str]:
    """Return the dotted names of everything a module imports, anywhere in its text."""
    found = set()
    for node in ast.walk(tree(modules()[module])):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            # `from engine.host import pin` imports a module, not a name in one.
            names = {f"{origin}.{alias.name}" for alias in node.names}
            found.update((names & modules().keys()) or {origin})
    return frozenset(found)
