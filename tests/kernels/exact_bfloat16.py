"""bfloat16 as a GPU has it, in triton's interpreter.

That of triton 3.6 and 3.7 keeps bfloat16 as bits: it takes them for integers in a dot, and cuts where it should round
to the nearest, or an integer for its bits. Operands of a dot are widened here, and numbers rounded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle


def widened(value: Any) -> Any:
    if value.dtype.scalar != tl.bfloat16:
        return value
    return TensorHandle((value.data.astype(np.uint32) << 16).view(np.float32), tl.float32)


def rounded(value: Any) -> Any:
    bits = torch.from_numpy(np.ascontiguousarray(value.data)).to(torch.bfloat16).view(torch.int16)
    return TensorHandle(bits.numpy().view(np.uint16), tl.bfloat16)


@contextmanager
def exact_bfloat16() -> Iterator[None]:
    dot, cast = InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl

    def exact_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        return dot(self, widened(a), widened(b), *rest)

    def exact_cast(self: Any, value: Any, to: Any) -> Any:
        if value.dtype.scalar == tl.float32 and to.scalar == tl.bfloat16:
            return rounded(value)
        if value.dtype.scalar.is_int() and to.scalar == tl.bfloat16:
            return rounded(TensorHandle(value.data.astype(np.float32), tl.float32))
        return cast(self, value, to)

    InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl = exact_dot, exact_cast
    try:
        yield
    finally:
        InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl = dot, cast
