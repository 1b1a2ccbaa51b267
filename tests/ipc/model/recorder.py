"""The ring's kernels as lists of operations: their own source, run on memory that takes notes.

The kernels are plain Python to whoever leaves `@njit` away. Here they run with a record of two
words, a header of a few, and atomics that write down what they are asked for. A test plants a bug
by changing a line of that source.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from explorer import Do, Op, Order

from engine.bus import ring_kernels
from engine.bus.ring_kernels import CAPACITY, LOCAL_WORDS, POSITION, SEEN

HEAD, TAIL, WAITING, WAKES, SLOTS = 0, 1, 2, 3, 4  # WAKES: calls to the kernel so far
WORDS = 2  # of a record
LAYOUT = {
    "HEAD_WORD": HEAD,
    "TAIL_WORD": TAIL,
    "WAITING_WORD": WAITING,
    "SLOTS_WORD": SLOTS,
    "RECORD_WORDS": WORDS,
}


@dataclass(frozen=True, slots=True)
class Bug:
    """A line of a kernel and what stands in its place."""

    kernel: str
    line: str
    instead: str = "pass"


class Notes:
    """The ring as a kernel sees it: every access becomes an `Op`; `answer` gives what loads find.

    A load of a record's word is answered with where it was noted, for it decides nothing.
    """

    def __init__(self, capacity: int, answer: Callable[[int], int]) -> None:
        self.ops: list[Op] = []
        self.wakes = 0
        self._slots = range(SLOTS, SLOTS + capacity * WORDS)
        self._answer = answer

    def load(self, index: int, order: Order = Order.PLAIN) -> Any:
        if index in self._slots:
            self.ops.append(Op(Do.LOAD, order, index))
            return Noted(len(self.ops) - 1)
        value = self._answer(index)
        self.ops.append(Op(Do.LOAD, order, index, value))
        return value

    def store(self, index: int, value: int, order: Order = Order.PLAIN) -> None:
        self.ops.append(Op(Do.STORE, order, index, value))

    def fence(self, order: Order) -> None:
        self.ops.append(Op(Do.FENCE, order))

    def wake(self) -> None:
        """Wake all that sleep now: the kernel puts a full fence around it."""
        self.wakes += 1
        self.fence(Order.FULL)
        self.store(WAKES, self.wakes)
        self.fence(Order.FULL)

    def __getitem__(self, index: int) -> Any:
        return self.load(index)

    def __setitem__(self, index: int, value: int) -> None:
        self.store(index, value)


@dataclass(frozen=True, slots=True)
class Noted:
    """What a load of a record's word stands for: the operation at this place of the notes."""

    at: int


@dataclass
class Rows:
    """What a kernel reads records from, or writes them to."""

    count: int
    words: dict[tuple[int, int], Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        return self.count, WORDS

    def __getitem__(self, at: tuple[int, int]) -> Any:
        return self.words[at]

    def __setitem__(self, at: tuple[int, int], value: Any) -> None:
        self.words[at] = value


def word(number: int, index: int, life: int = 0) -> int:
    """Return what word `index` of record `number` holds; another writer's life, another value."""
    return 1_000 * (life + 1) + 10 * number + index


def rows(first: int, count: int, life: int = 0) -> Rows:
    """Return the records number `first` and up."""
    filled = {(i, w): word(first + i, w, life) for i in range(count) for w in range(WORDS)}
    return Rows(count, filled)


def local(capacity: int, position: int, seen: int = 0) -> list[int]:
    """Return a side's own words as at attach."""
    mine = [0] * LOCAL_WORDS
    mine[POSITION], mine[CAPACITY], mine[SEEN] = position, capacity, seen
    return mine


def kernel(name: str, bug: Bug | None = None) -> Callable[..., int]:
    """Return a kernel's own source as a function that takes `Notes` for the ring."""
    jitted = [value for value in vars(ring_kernels).values() if hasattr(value, "py_func")]
    functions = [_function(value.py_func, bug) for value in jitted]
    program = compile(ast.Module(functions, []), "<kernels>", "exec")

    def call(ring: Notes, *arguments: Any) -> int:
        atomics = {
            "load_acquire": lambda _, index: ring.load(index, Order.ACQUIRE),
            "store_release": lambda _, index, value: ring.store(index, value, Order.RELEASE),
            "fence_acquire": lambda: ring.fence(Order.ACQUIRE),
            "fence_release": lambda: ring.fence(Order.RELEASE),
            "fence_full": lambda: ring.fence(Order.FULL),
            "copy_record": copy_record,
            "seal": lambda _words, _at, number: number + 1,
        }
        scope = {**vars(ring_kernels), **LAYOUT, **atomics}
        exec(program, scope)
        result: int = scope[name](ring, *arguments)
        return result

    return call


def _function(kernel: Callable[..., Any], bug: Bug | None) -> ast.FunctionDef:
    source = ast.unparse(ast.parse(inspect.getsource(kernel)))
    if bug is not None and bug.kernel == kernel.__name__:
        assert bug.line in source, f"no such line any more: {bug}"
        source = source.replace(bug.line, bug.instead)
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list = []
    return function


def copy_record(target: Any, target_word: int, source: Any, source_word: int) -> None:
    """Copy a record word by word, in whatever order the explorer likes: a move promises none."""
    for word_index in range(WORDS):
        _put(target, target_word + word_index, _get(source, source_word + word_index))


def _get(source: Any, at: int) -> Any:
    return source[at] if isinstance(source, Notes) else source[divmod(at, WORDS)]


def _put(target: Any, at: int, value: Any) -> None:
    if isinstance(target, Notes):
        target[at] = value
    else:
        target[divmod(at, WORDS)] = value


class Answers:
    """What the loads of one run find: first as given, then the first candidate of each."""

    def __init__(self, given: list[int], candidates: Callable[[int], Sequence[int]]) -> None:
        self.others: list[list[int]] = []  # the ways not taken, as the start of other runs
        self._given = given
        self._candidates = candidates
        self._asked: list[int] = []
        self._floor: dict[int, int] = {}

    def __call__(self, address: int) -> int:
        # A location never goes backwards, and these only grow.
        floor = self._floor.get(address, 0) if address in (HEAD, TAIL) else 0
        possible = [value for value in self._candidates(address) if value >= floor]
        if len(self._asked) < len(self._given):
            value = self._given[len(self._asked)]
        else:
            value = possible[0]
            self.others += [[*self._asked, other] for other in possible[1:]]
        self._asked.append(value)
        self._floor[address] = value
        return value


def runs(
    capacity: int, candidates: Callable[[int], Sequence[int]], play: Callable[[Notes], Any]
) -> Iterator[tuple[list[Op], Any]]:
    """Yield the notes and the result of `play(notes)` for every way its loads may be answered.

    candidates: what may ever be found at an address.
    """
    ways: list[list[int]] = [[]]
    while ways:
        answers = Answers(ways.pop(), candidates)
        notes = Notes(capacity, answers)
        result = play(notes)
        ways += answers.others
        yield notes.ops, result
