"""The seal of a queued record: 64 bits that say "these are the words the writer wrote, here".

Money and orders go through queues, and nothing behind a queue could tell a changed size from a
real one. The seal costs some ten nanoseconds, far below a hop, and is as good as 64 bits can be:
every step is a bijection, so a change within one word is always found, and of all others one in
2**64 is not. The record's number is mixed in: the seal of an older lap fits no new record.

It guards against memory that was overwritten or has flipped, not against a forger.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from engine.wire.records import RECORD_WORDS

LANES = (
    4  # independent chains: one after the other, the multiplications would take four times as long
)
NUMBER_FACTOR = 0x9E3779B97F4A7C15
WORD_FACTOR = 0xBF58476D1CE4E5B9
SHIFT = 32

_WORD = ir.IntType(64)


@intrinsic
def seal(typing_context: Any, words: Any, at: Any, number: Any) -> Any:  # noqa: ARG001
    """Return the seal of record `number` whose words begin at word `at` of a C-contiguous array.

    Wide loads and no index checked for its sign, as `copy_record`.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        first = builder.gep(data, [args[1]])

        def mixed(lane: Any, value: Any) -> Any:
            lane = builder.mul(builder.xor(lane, value), _constant(WORD_FACTOR))
            return builder.xor(lane, builder.lshr(lane, _constant(SHIFT)))

        start = builder.mul(builder.add(args[2], _constant(1)), _constant(NUMBER_FACTOR))
        lanes = [builder.add(start, _constant(lane)) for lane in range(LANES)]
        for word in range(RECORD_WORDS):
            value = builder.load(builder.gep(first, [_constant(word)]))
            lanes[word % LANES] = mixed(lanes[word % LANES], value)
        found = _constant(0)
        for lane in lanes:
            found = mixed(found, lane)
        return found

    return types.int64(words, types.intp, types.int64), codegen


def _constant(value: int) -> ir.Constant:
    return ir.Constant(_WORD, value)
