"""Operands that the kernels around attention have in common."""

from __future__ import annotations

from typing import Optional, Tuple

from . import _tensors
from ._dtypes import F32, LONG_NAMES


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
