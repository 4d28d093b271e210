"""Operands that the kernels around attention have in common."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

from . import _operands, _tensors
from ._dtypes import E4M3, F32, LONG_NAMES, U8


def check_lse(name: str, lse: _tensors.View, num_heads: int, num_tokens: int) -> None:
    _, dtype, shape, strides, _ = lse
    if dtype != F32:
        raise TypeError(f"expected {name} of dtype float32, got {LONG_NAMES[dtype]}")
    if shape != (num_heads, num_tokens):
        raise ValueError(f"expected {name} of shape [num_heads, num_tokens] = [{num_heads}, "
                         f"{num_tokens}], got {list(shape)}")
    if (num_tokens > 1 and strides[1] != 1) or (num_heads > 1 and strides[0] != num_tokens):
        if 0 in shape:
            return
        raise ValueError(f"expected {name} to be contiguous, got strides {list(strides)}; pass "
                         f"{name}.contiguous()")


def check_scales(scale: Optional[_tensors.View], scales: Optional[_tensors.View], ue8m0: bool,
                 sizes: Tuple[int, int, int]) -> Tuple[int, int, int]:
    """(elements per group, stride from token to token, stride from group to group); 0 without.

    sizes: num_tokens, num_heads, head_size.
    """
    num_tokens, num_heads, head_size = sizes
    if ue8m0 and scales is None:
        raise ValueError("use_ue8m0_scales is for scales of groups; give output_group_scales too")
    if scale is not None:
        if scales is not None:
            raise ValueError("output_scale and output_group_scales are both given; give "
                             "output_scale for one scale per tensor, output_group_scales for one "
                             "per group")
        if scale[1] != F32:
            raise TypeError(f"expected output_scale of dtype float32, got {LONG_NAMES[scale[1]]}")
        if any(extent != 1 for extent in scale[2]):
            raise ValueError(f"expected output_scale with one element, got shape {list(scale[2])}")
    if scales is None:
        return 0, 0, 0
    _, dtype, shape, strides, _ = scales
    if dtype != F32:
        raise TypeError(f"expected output_group_scales of dtype float32, got {LONG_NAMES[dtype]}")
    for group in (64, 128):
        if shape == (num_tokens, num_heads * (head_size // group)) and head_size % group == 0:
            if any(extent > 1 and stride == 0 for extent, stride in zip(shape, strides)):
                raise ValueError("expected output_group_scales with memory for every scale, got "
                                 f"strides {list(strides)} (of an expanded tensor?) for shape "
                                 f"{list(shape)}; pass a tensor made with torch.empty")
            # Strides of extents 1 say nothing and may be anything: take what cannot collide.
            token = strides[0] if shape[0] > 1 else shape[1]
            return group, token, strides[1] if shape[1] > 1 else 1
    raise ValueError(
        "expected output_group_scales of shape [num_tokens, num_heads * head_size / group] with "
        f"groups of 64 or 128 for {num_tokens} tokens, {num_heads} heads and head size "
        f"{head_size}, got {list(shape)}")


def strides_of_heads(name: str, shape: Sequence[int], strides: Sequence[int]) -> Tuple[int, int]:
    """From token to token and from head to head; 0 where there are no two, and a stride would say
    nothing."""
    tokens, heads, size = shape
    if 0 in shape:
        return 0, 0
    if size > 1 and strides[2] != 1:
        raise ValueError(f"expected {name} whose heads are contiguous, got strides {list(strides)} "
                         f"for shape {list(shape)}; pass {name}.contiguous()")
    if (tokens > 1 and strides[0] == 0) or (heads > 1 and strides[1] == 0):
        raise ValueError(f"expected {name} with memory for every head, got strides {list(strides)} "
                         f"(of an expanded tensor?) for shape {list(shape)}; pass "
                         f"{name}.contiguous()")
    return strides[0] if tokens > 1 else 0, strides[1] if heads > 1 else 0


def check_sequences(cu_seqlens: _tensors.View) -> int:
    """The number of sequences."""
    shape = cu_seqlens[2]
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError("expected cu_seqlens_q of shape [num_sequences + 1], got "
                         f"{list(shape)}")
    _operands.check_ints("cu_seqlens_q", cu_seqlens, shape, "[num_sequences + 1]")
    return shape[0] - 1


def check_out(out: _tensors.View, shape: Tuple[int, int, int], fp8: bool,
              outputs: Sequence[int]) -> Tuple[int, int]:
    """Strides as strides_of_heads. outputs: the dtypes that it may have but for FP8."""
    _, dtype, given, strides, _ = out
    if fp8:
        if dtype not in (E4M3, U8):
            raise TypeError("expected out of dtype float8_e4m3fn (or uint8, its bits) because "
                            f"scales are given, got {LONG_NAMES[dtype]}")
    elif dtype not in outputs:
        hint = "; give output_scale for FP8 output" if dtype in (E4M3, U8) else ""
        names = [LONG_NAMES[output] for output in outputs]
        expected = " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        raise TypeError(f"expected out of dtype {expected}, got {LONG_NAMES[dtype]}{hint}")
    tokens, heads, size = shape
    if tuple(given) == (tokens, heads * size):
        return strides_of_heads("out", shape, (strides[0], size * strides[1], strides[1]))
    if tuple(given) != shape:
        raise ValueError("expected out of shape [num_tokens, num_heads, head_dim_v] = "
                         f"{list(shape)} or [{tokens}, {heads * size}], got {list(given)}")
    return strides_of_heads("out", shape, strides)


def positive(name: str, value: Any) -> float:
    """A float32 above 0."""
    if isinstance(value, bool) or hasattr(value, "__dlpack__") or not hasattr(value, "__float__"):
        # A tensor would have to be waited for.
        raise TypeError(f"expected {name} to be a float, got {type(value).__name__}")
    value = float(value)
    if not 2.0**-126 <= value < 2.0**127:
        raise ValueError(f"expected {name} to be above 0 and a float32, got {value}")
    return value
