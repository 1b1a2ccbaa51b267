"""Who may import whom: data flows one way, and the core knows nothing of the world outside."""

from __future__ import annotations

import ast
import sys

import pytest
from sources import PACKAGES, imports, modules, tree

# The part of the signer that computes and does nothing: others verify and look up with it.
SIGNER_PURE = frozenset(
    f"signer.{name}"
    for name in (
        "abi",
        "address",
        "amounts",
        "auth",
        "budget",
        "contracts",
        "ecdsa",
        "eip712",
        "keccak",
        "order_v1",
        "order_v2",
        "poly1271",
        "position_ids",
        "relayer",
        "session_keys",
        "wallet_addresses",
        "wallet_calls",
        "wallets",
    )
)
PROCESS = frozenset({"engine.wire", "engine.bus", "engine.host"})

# The longest name that begins a module's decides; a package may always import itself.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "engine.wire": frozenset(),
    "engine.math": frozenset(),
    "engine.bus": frozenset({"engine.wire"}),
    "engine.host": frozenset({"engine.wire", "engine.bus"}),
    "engine.core": frozenset({"engine.wire", "engine.math"}),
    "engine.core_duty": PROCESS | {"engine.core"},
    "engine.__main__": PROCESS | {"engine.core", "engine.core_duty", "engine.fused"},
    # The one place where feeds, core and signer meet: a profile that runs them in one process.
    "engine.fused": PROCESS | {"engine.core_duty", "feeds", "signer"},
    "engine.tape": PROCESS,
    "engine.tape.replay": PROCESS | {"engine.tape", "engine.core"},
    "engine.exchange": PROCESS | {"engine.math"} | SIGNER_PURE,
    "engine.backoffice": PROCESS | {"engine.math", "engine.core", "engine.tape"},
    # It runs the whole engine, and the floor is made of the feeds' and the signer's own sockets.
    "engine.bench": frozenset(PACKAGES),
    # Golden vectors against everything that computes.
    "engine.vectors": SIGNER_PURE
    | {
        "engine.backoffice.bootstrap",
        "engine.backoffice.hdr",
        "engine.backoffice.ranks",
        "engine.exchange.book_hash",
        "engine.exchange.market",
        "engine.exchange.matching",
        "engine.exchange.pool",
        "engine.exchange.queue_model",
        "engine.host.errors",
        "engine.math",
        "engine.wire",
        "signer.templates",
    },
    "engine.cli": frozenset(PACKAGES),
    "feeds": PROCESS,
    "signer": PROCESS,
}

# What computes may use these and the standard library, and nothing else.
LIBRARIES = {
    "engine.wire": {"numpy"},
    "engine.math": {"numpy", "numba"},
    "engine.core": {"numpy", "numba"},
}

# Time comes in records, ids are a function of what happened, and bytes are someone else's business.
BANNED_IN_PURE = {
    "asyncio",
    "datetime",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "selectors",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
PURE = ("engine.core", "engine.math", "engine.wire")


def is_within(module: str, package: str) -> bool:
    """Tell whether a dotted name is the package or something in it."""
    return module == package or module.startswith(package + ".")


def rule_of(module: str) -> str | None:
    """Return the name of the rule that covers a module."""
    rules = [rule for rule in MAY_IMPORT if is_within(module, rule)]
    return max(rules, key=len, default=None)


def ours(module: str) -> set[str]:
    """Return what a module imports of the three packages."""
    return {name for name in imports(module) if name.split(".")[0] in PACKAGES}


def test_every_module_is_covered_by_a_rule():
    """A new package states whom it may import before it is merged."""
    homeless = [name for name in modules() if rule_of(name) is None and name != "engine"]
    assert homeless == []


@pytest.mark.parametrize("rule", MAY_IMPORT)
def test_imports_follow_the_flow_of_data(rule: str):
    """No module imports what its rule does not name."""
    allowed = MAY_IMPORT[rule] | {rule}
    strays = {
        (module, name)
        for module in modules()
        if rule_of(module) == rule
        for name in ours(module)
        if not any(is_within(name, package) for package in allowed)
    }
    assert strays == set()


def test_the_pure_parts_of_the_signer_are_pure():
    """What the exchange borrows from the signer needs only itself and the wire's vocabulary."""
    strays = {
        (module, name)
        for module in SIGNER_PURE
        for name in ours(module)
        if name not in SIGNER_PURE and not is_within(name, "engine.wire")
    }
    assert strays == set()


@pytest.mark.parametrize("package", LIBRARIES)
def test_what_computes_uses_few_libraries(package: str):
    """The wire needs numpy only; the formulas and the core need numpy and numba only."""
    known = LIBRARIES[package] | sys.stdlib_module_names | {*PACKAGES}
    strays = {
        (module, name)
        for module in modules()
        if is_within(module, package)
        for name in imports(module)
        if name.split(".")[0] not in known
    }
    assert strays == set()


@pytest.mark.parametrize("package", PURE)
def test_what_computes_has_no_clock_no_chance_and_no_io(package: str):
    """The core takes time and everything else from its records, so that a replay is identical."""
    inside = [module for module in modules() if is_within(module, package)]
    imported = {
        (module, name)
        for module in inside
        for name in imports(module)
        if name.split(".")[0] in BANNED_IN_PURE
    }
    drawn = {
        module
        for module in inside
        for node in ast.walk(tree(modules()[module]))
        if isinstance(node, ast.Attribute)
        and node.attr == "random"
        and isinstance(node.value, ast.Name)
        and node.value.id in {"np", "numpy"}
    }
    opened = {
        module
        for module in inside
        for node in ast.walk(tree(modules()[module]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
    }
    assert imported == set()
    assert drawn == set()
    assert opened == set()


def test_imports_are_absolute():
    """Every module is named in full wherever it is imported."""
    relative = {(m, name) for m in modules() for name in imports(m) if name.startswith(".")}
    assert relative == set()
