"""Counting zero bits of a 64-bit word: one machine instruction, for bitmaps of price levels.

Both work inside `numba.njit` only; int64 and uint64 are taken as the same 64 bits.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic


def _counter(x: Any, instruction: str) -> Any:
    if x not in (types.int64, types.uint64):
        raise TypingError(f"a 64-bit integer is needed: type={x}")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        zero_is_undefined = context.get_constant(types.boolean, False)
        return getattr(builder, instruction)(args[0], zero_is_undefined)

    return types.int64(x), codegen


@intrinsic
def count_leading_zeros(typing_context: Any, x: Any) -> Any:  # noqa: ARG001
    """Return the zero bits above the highest set bit, 0..63; 64 for x = 0."""
    return _counter(x, "ctlz")


@intrinsic
def count_trailing_zeros(typing_context: Any, x: Any) -> Any:  # noqa: ARG001
    """Return the zero bits below the lowest set bit, 0..63; 64 for x = 0."""
    return _counter(x, "cttz")
