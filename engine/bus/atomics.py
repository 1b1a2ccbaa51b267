"""Atomic loads, stores and fences, and moving a record, for jitted code on int64 arrays.

Plain array access is not enough: `while words[0] == 0: pass` compiles to one load and then a
constant branch, so a waiting loop would never see the other process. These intrinsics emit LLVM's
own atomics, which cost nothing extra on x86 (`mov`) and are correct on ARM. They work inside
`numba.njit` only, also with `cache=True`.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from engine.wire.records import RECORD_WORDS

_ON_X86 = platform.machine().lower() in {"x86_64", "amd64"}
_WORD_BYTES = 8


def _item_pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array_type = signature.args[0]
    array = context.make_array(array_type)(context, builder, args[0])
    return cgutils.get_item_pointer(context, builder, array_type, array, [args[1]])


@intrinsic
def load_acquire(typing_context: Any, words: Any, index: Any) -> Any:  # noqa: ARG001
    """Return `words[index]`; nothing after this in program order is read before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _item_pointer(context, builder, signature, args)
        return builder.load_atomic(pointer, "acquire", _WORD_BYTES)

    return types.int64(words, types.intp), codegen


@intrinsic
def store_release(typing_context: Any, words: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
    """Set `words[index] = value`; everything before this is visible to whoever acquires it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _item_pointer(context, builder, signature, args)
        builder.store_atomic(args[2], pointer, "release", _WORD_BYTES)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), codegen


@intrinsic
def fence_acquire(typing_context: Any) -> Any:  # noqa: ARG001
    """Keep every read before this ahead of every access after it (LoadLoad and LoadStore)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        builder.fence("acquire")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def fence_release(typing_context: Any) -> Any:  # noqa: ARG001
    """Keep every access before this ahead of every write after it (StoreStore and LoadStore)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        builder.fence("release")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def fence_full(typing_context: Any) -> Any:  # noqa: ARG001
    """Keep every access before this ahead of every access after it, StoreLoad included.

    The one that costs something on x86 (`mfence`).
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def copy_record(
    typing_context: Any,  # noqa: ARG001
    target: Any,
    target_word: Any,  # noqa: ARG001
    source: Any,
    source_word: Any,  # noqa: ARG001
) -> Any:
    """Copy RECORD_WORDS words between C-contiguous arrays; places count in words from the start.

    A loop over the items compiles to one move a word, each with its index checked for its sign;
    this is a handful of wide moves.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ends = []
        for array, word in ((0, 1), (2, 3)):
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            ends.append(builder.gep(data, [args[word]]))
        words = ir.Constant(ir.IntType(64), RECORD_WORDS)
        cgutils.raw_memcpy(builder, ends[0], ends[1], words, _WORD_BYTES, align=_WORD_BYTES)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp), codegen


@intrinsic
def pause(typing_context: Any) -> Any:  # noqa: ARG001
    """Tell the core that this is a spinning loop; nothing on machines other than x86."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        if _ON_X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(
                cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), []
            )
        return context.get_dummy_value()

    return types.void(), codegen
