"""CRC32C (Castagnoli), the checksum of the tape and of the order log.

Two kernels that give the same: with the instruction that x86 has for it since SSE4.2, and by tables
elsewhere (slicing by 8: eight table look-ups for eight bytes at a time). Which one is decided once,
by the machine that numba compiles for; its cache knows compiled code by that machine's name and
features, so no instruction is carried to one without it.

Source: RFC 3720, section 12.1 and appendix B.4 (test vectors); Kounavis and Berry, "A Systematic
Approach to Building High Performance Software-based CRC Generators", 2005.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41, bits reversed

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_ROWS = types.Array(types.uint8, 2, "C", readonly=True)


def _tables() -> np.ndarray:
    """Return uint32[8, 256]: row k is the effect of a byte that k more bytes follow."""
    table: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    tables = [table]
    for _ in range(7):
        tables.append((tables[-1] >> 8) ^ table[tables[-1] & 0xFF])
    return np.array(tables, dtype=np.uint32)


_TABLES = _tables()


def by_table(data: np.ndarray) -> np.uint32:
    """Hot path. Return the CRC32C of uint8[n]. For `njit`."""
    crc = np.uint32(0xFFFFFFFF)
    whole = data.size - data.size % 8
    for i in range(0, whole, 8):
        crc = (
            _TABLES[7, data[i] ^ (crc & 0xFF)]
            ^ _TABLES[6, data[i + 1] ^ (crc >> 8 & 0xFF)]
            ^ _TABLES[5, data[i + 2] ^ (crc >> 16 & 0xFF)]
            ^ _TABLES[4, data[i + 3] ^ (crc >> 24)]
            ^ _TABLES[3, data[i + 4]]
            ^ _TABLES[2, data[i + 5]]
            ^ _TABLES[1, data[i + 6]]
            ^ _TABLES[0, data[i + 7]]
        )
    for i in range(whole, data.size):
        crc = np.uint32(crc >> 8) ^ _TABLES[0, np.uint8(crc) ^ data[i]]
    return crc ^ np.uint32(0xFFFFFFFF)


def _step(bits: int) -> Any:
    """Return the instruction for so many bits: f(crc, data, i) takes those from `data[i]` on in."""
    crc_type = ir.IntType(max(bits, 32))

    @intrinsic
    def step(typing_context: Any, crc: Any, data: Any, i: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            crc, data, i = args
            first = context.make_array(signature.args[1])(context, builder, data).data
            at = builder.bitcast(builder.gep(first, [i]), ir.IntType(bits).as_pointer())
            instruction = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(crc_type, [crc_type, ir.IntType(bits)]),
                f"llvm.x86.sse42.crc32.{crc_type.width}.{bits}",
            )
            return builder.call(instruction, [crc, builder.load(at, align=1)])

        numba_type = types.uint64 if bits == 64 else types.uint32
        return numba_type(numba_type, data, types.intp), codegen

    return step


_step_word, _step_byte = _step(64), _step(8)


def by_instruction(data: np.ndarray) -> np.uint32:
    """Hot path. Return the same where `has_instruction()`; elsewhere it does not compile."""
    word_crc = np.uint64(0xFFFFFFFF)
    whole = data.size - data.size % 8
    for i in range(0, whole, 8):
        word_crc = _step_word(word_crc, data, i)
    crc = np.uint32(word_crc)
    for i in range(whole, data.size):
        crc = _step_byte(crc, data, i)
    return crc ^ np.uint32(0xFFFFFFFF)


def has_instruction() -> bool:
    """Return whether the machine that numba compiles for has SSE4.2."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    return triple.startswith("x86_64") and "+sse4.2" in features.split(",")


_checksum = njit(types.uint32(_BYTES), cache=True, _nrt=False)(
    by_instruction if has_instruction() else by_table
)


@njit(types.void(_ROWS, types.int64, types.int64, types.uint32[::1]), cache=True, _nrt=False)
def crc32c_rows(rows: np.ndarray, start: int, stop: int, out: np.ndarray) -> None:
    """Hot path. Set `out[i]` to the CRC32C of bytes `start` to `stop` of row i.

    rows: uint8[n, bytes], C-contiguous. out: uint32[>= n]. 0 <= start <= stop <= bytes.
    """
    for i in range(rows.shape[0]):
        out[i] = _checksum(rows[i, start:stop])


def crc32c(data: bytes | bytearray | memoryview | np.ndarray) -> int:
    """Return the CRC32C of the bytes; 0 for none.

    data: bytes-like, or uint8[n]. Source: RFC 3720, appendix B.4.
    """
    return int(_checksum(np.frombuffer(data, np.uint8)))
