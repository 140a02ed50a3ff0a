# mypy: disallow-untyped-decorators=False, disallow-any-unimported=False
"""Sixteen 32-bit numbers in one register of the processor, as values in code compiled by Numba.

Numba knows no vectors, but it keeps a value of any LLVM type in a variable. `Lanes` is that type, and each
function below is one LLVM instruction on it; so nothing is built in another language, and nothing is needed at
run time that Numba does not bring. All but `look_up` would compile for any processor; that one is an instruction
of AVX-512, and `has_wide_registers` says whether Numba compiles for a processor that has it. Numba keeps
compiled code on disk by the processor and the features it was compiled for: moved elsewhere, it is compiled anew.

Words are sixteen uint32, floats sixteen float32. Arrays are read and written at a place counted in their own
elements, without a check of their length.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.registry import cpu_target
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, register_model

declare: Any = cgutils.get_or_insert_function
intrinsic: Any = numba_intrinsic  # Numba's own types say that it needs the argument `typing` when called

WIDTH = 16
INSTRUCTION = "llvm.x86.avx512.vpermi2var.ps.512"
FEATURES = ("+avx512f", "+avx512bw", "+avx512dq", "+avx512vl")

WORD = ir.IntType(32)
ALL_WORDS, ALL_FLOATS = ir.VectorType(WORD, WIDTH), ir.VectorType(ir.FloatType(), WIDTH)


class Lanes(types.Type):
    """Numba's name for a vector."""

    def __init__(self, name: str, vector: ir.VectorType) -> None:
        self.vector = vector
        super().__init__(f"sixteen {name}")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """Held in memory and in registers as the vector itself."""

    def __init__(self, manager: Any, lanes: Any) -> None:
        super().__init__(manager, lanes, lanes.vector)  # type: ignore[no-untyped-call]


WORDS, FLOATS = Lanes("uint32", ALL_WORDS), Lanes("float32", ALL_FLOATS)


def has_wide_registers() -> bool:
    """Whether Numba compiles for a processor with AVX-512, which it need not do on each that has it."""
    if vars(config)["DISABLE_JIT"]:
        return False
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return set(FEATURES) <= set(features.split(","))


def _constant(number: int) -> ir.Constant:
    return ir.Constant(ALL_WORDS, [number] * WIDTH)


def _pointer(context: Any, builder: Any, signature: Any, args: Any, vector: ir.VectorType) -> Any:
    first = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.bitcast(builder.gep(first, [args[1]]), vector.as_pointer())


def _loader(lanes: Lanes) -> Any:
    def load(_typing: Any, array: Any, place: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(_pointer(context, builder, signature, args, lanes.vector), align=4)

        return lanes(array, types.intp), emit

    return intrinsic(load)


def _of_two(lanes: Lanes, combine: Callable[[Any, Any, Any], Any]) -> Any:
    def of_two(_typing: Any, a: Any, b: Any) -> Any:
        return lanes(lanes, lanes), lambda _context, builder, _signature, args: combine(builder, *args)

    return intrinsic(of_two)


def _shifter(direction: str) -> Any:
    def shift(_typing: Any, words: Any, n: Any) -> Any:
        def emit(_context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, direction)(args[0], _constant(signature.args[1].literal_value))

        return WORDS(WORDS, n), emit

    return intrinsic(prefer_literal=True)(shift)


load_words, load_floats = _loader(WORDS), _loader(FLOATS)
both = _of_two(WORDS, lambda builder, a, b: builder.and_(a, b))
either = _of_two(WORDS, lambda builder, a, b: builder.or_(a, b))
without = _of_two(WORDS, lambda builder, a, b: builder.and_(a, builder.not_(b)))
add = _of_two(FLOATS, lambda builder, a, b: builder.fadd(a, b))
odd_ones = _of_two(
    WORDS,
    lambda builder, a, b: builder.shuffle_vector(a, b, ir.Constant(ALL_WORDS, list(range(1, 2 * WIDTH, 2)))),
)
shift_right, shift_left = _shifter("lshr"), _shifter("shl")


@intrinsic
def zeros(_typing: Any) -> Any:
    return WORDS(), lambda _context, _builder, _signature, _args: _constant(0)


@intrinsic
def store(_typing: Any, array: Any, place: Any, value: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature, args, value.vector), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), emit


@intrinsic
def has_bits(_typing: Any, words: Any) -> Any:
    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        flags = builder.bitcast(builder.icmp_unsigned("!=", args[0], _constant(0)), ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", flags, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(WORDS), emit


@intrinsic(prefer_literal=True)
def choose(_typing: Any, bits: Any, a: Any, b: Any) -> Any:
    """Of every byte those `bits` from a, the others from b."""

    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        from_a = bits.literal_value * 0x01010101
        return builder.or_(
            builder.and_(args[1], _constant(from_a)), builder.and_(args[2], _constant(0xFFFFFFFF - from_a))
        )

    return WORDS(bits, WORDS, WORDS), emit


@intrinsic
def look_up(_typing: Any, places: Any, low: Any, high: Any) -> Any:
    """Of each place its lowest five bits: 0 to 15 stand in `low`, 16 to 31 in `high`."""

    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ALL_FLOATS, [ALL_FLOATS, ALL_WORDS, ALL_FLOATS])
        instruction = declare(builder.module, kind, INSTRUCTION)
        return builder.call(instruction, [args[1], args[0], args[2]])

    return FLOATS(WORDS, FLOATS, FLOATS), emit


@intrinsic
def lowest_bit(_typing: Any, word: Any) -> Any:
    """The place of the lowest bit of a uint64 that has one. This one knows no lanes, and any processor has it."""

    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), emit


@intrinsic
def prefetch(_typing: Any, array: Any, place: Any) -> Any:
    """Ask for what stands at a place, to have it near when it is read later; this, too, any processor has."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte = builder.bitcast(builder.gep(first, [args[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [byte.type, WORD, WORD, WORD])
        to_read, keep, data = (ir.Constant(WORD, number) for number in (0, 3, 1))
        builder.call(declare(builder.module, kind, "llvm.prefetch.p0"), [byte, to_read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit
