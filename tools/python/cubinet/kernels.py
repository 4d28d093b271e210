"""Shipped kernels on the tensors of torch, CuPy and every library that speaks
__cuda_array_interface__ or DLPack."""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import _attention_operands, _operands, _runtime, _tensors
from ._dtypes import BF16, BYTES, E4M3, F16, F32, LONG_NAMES, U8
from ._errors import last_error
from ._fp8_attention import fp8_attention, fp8_attention_workspace_bytes
from ._library import C
from ._mla_prefill import (
    MlaContextChunk,
    mla_prefill,
    mla_prefill_with_context,
    mla_prefill_workspace_bytes,
)
from ._mqa_logits import mqa_logits
from ._paged_mqa_logits import paged_mqa_logits
from ._paged_mqa_logits_metadata import paged_mqa_logits_metadata
from ._runtime import Runtime

__all__ = [
    "MlaContextChunk",
    "fp8_attention",
    "fp8_attention_workspace_bytes",
    "merge_attn_states",
    "mla_prefill",
    "mla_prefill_with_context",
    "mla_prefill_workspace_bytes",
    "mqa_logits",
    "paged_mqa_logits",
    "paged_mqa_logits_metadata",
]

# cubinet_merge_attn_states_args, packed in one go: ctypes would take a call for each field.
_ARGS = struct.Struct("@Q3q8Q6q4i")
_WRITTEN = ("output", "output_lse", "output_group_scales")
_SHAPE = "[num_tokens, num_heads, head_size]"


def merge_attn_states(output: Any, prefix_output: Any, prefix_lse: Any, suffix_output: Any,
                      suffix_lse: Any, output_lse: Any = None,
                      prefill_tokens_with_context: Optional[int] = None, output_scale: Any = None,
                      *, output_group_scales: Any = None, use_ue8m0_scales: bool = False,
                      stream: Any = None, programmatic_dependent: bool = False,
                      runtime: Optional[Runtime] = None) -> None:
    """Merges two attention outputs by their log-sum-exps, optionally to FP8.

    Parameters are named and ordered as those of vLLM's merge_attn_states. Tensors lie on one CUDA
    device; those of torch and CuPy, and whatever has __cuda_array_interface__ or __dlpack__.

    output:        [num_tokens, num_heads, head_size]; dtype of prefix_output, or float8_e4m3fn (or
                   uint8, its bits) with output_scale or output_group_scales. Written.
    prefix_output: [num_tokens, num_heads, head_size] float32, float16 or bfloat16. Heads may be
                   padded: strides [num_heads * s, s, 1] with s >= head_size.
    prefix_lse:    [num_heads, num_tokens] float32, contiguous, natural logarithm; an infinity means
                   that the prefix is empty.
    suffix_output, suffix_lse: the same of the suffix, with the strides of the prefix.
    output_lse:    [num_heads, num_tokens] float32, contiguous; optional. Written.
    prefill_tokens_with_context: tokens from this index on have no prefix: their output is the
                   suffix's; default: all have one.
    output_scale:  one float32; output = e4m3(merged / output_scale), saturating at +-448.
    output_group_scales: [num_tokens, num_heads * head_size / group] float32, with any strides;
                   every group of 64 or 128 elements gets a scale of its own. Written.
    use_ue8m0_scales: rounds those scales up to powers of two.
    stream:        an int, torch.cuda.Stream, cupy.cuda.Stream or object with __cuda_stream__();
                   default: the current stream of the tensors' library.
    programmatic_dependent: may start before its predecessor in the stream ends.
    runtime:       default: the process-wide one.

    Asynchronous, and may be captured into a CUDA graph. Without tokens nothing is launched. It has
    no gradient: tensors that require one are refused while gradients are recorded.
    Raises TypeError (wrong kind of object or dtype), ValueError (shape, stride, device, overlap; an
    InvalidArgumentError is one too), and other cubinet.Errors, before anything is launched.
    """
    named = [("output", output), ("prefix_output", prefix_output), ("prefix_lse", prefix_lse),
             ("suffix_output", suffix_output), ("suffix_lse", suffix_lse)]
    optional = {"output_lse": output_lse, "output_scale": output_scale,
                "output_group_scales": output_group_scales}
    named += [item for item in optional.items() if item[1] is not None]
    lent: List[Any] = []  # held until the launch is in the stream
    views, handle = _operands.views("merge_attn_states", named, stream, lent, _WRITTEN)
    ue8m0 = bool(use_ue8m0_scales)
    key = (output_lse is None, output_scale is None, output_group_scales is None, ue8m0,
           *[view[1:] for view in views])
    plan = _plans.get(key)
    if plan is None:
        plan = _operands.keep(_plans, key, _make_plan(named, views, ue8m0))
    device, shape, layout, dtype, lengths, written = plan
    context = _context_tokens(prefill_tokens_with_context, shape[0])
    if shape[0] == 0 or shape[1] == 0:
        return
    firsts = [view[0] for view in views]
    _operands.check_overlap(named, firsts, lengths, written)
    given = iter(firsts[5:])
    packed = _ARGS.pack(
        _ARGS.size, *shape, firsts[1], firsts[3], firsts[2], firsts[4], firsts[0],
        0 if output_lse is None else next(given), 0 if output_scale is None else next(given),
        0 if output_group_scales is None else next(given), *layout, context or 0,
        context is not None, dtype, ue8m0, bool(programmatic_dependent))
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    with _operands.current(output, device, at):
        status = C.cubinet_merge_attn_states(at._alive(), packed, handle)
        if status:
            raise last_error(status)


class _Plan(NamedTuple):
    """What follows from shapes, dtypes, strides and devices, whatever the addresses are."""

    device: Optional[int]
    shape: Tuple[int, int, int]  # num_tokens, num_heads, head_size
    layout: Tuple[int, ...]  # group size, its two strides, input and output head stride
    dtype: int  # of the inputs
    lengths: List[int]  # bytes from the first to the end of the last element of each tensor
    written: List[int]  # the indices of tensors that are


_plans: Dict[Any, _Plan] = {}


def _make_plan(named: List[Tuple[str, Any]], views: List[_tensors.View], ue8m0: bool) -> _Plan:
    """Checks everything but addresses. Raises as merge_attn_states says."""
    device = _operands.common_device(named, views)
    by_name = {name: view for (name, _), view in zip(named, views)}
    scale, scales = by_name.get("output_scale"), by_name.get("output_group_scales")
    tokens, heads, size, input_stride, output_stride = _check_outputs(
        views[0], views[1], views[3], scale is not None or scales is not None)
    for name in ("prefix_lse", "suffix_lse", "output_lse"):
        if name in by_name:
            _attention_operands.check_lse(name, by_name[name], heads, tokens)
    groups = _attention_operands.check_scales(scale, scales, ue8m0, (tokens, heads, size))
    rows, dtype = tokens * heads, views[1][1]
    inputs = ((rows - 1) * input_stride + size) * BYTES[dtype]
    outputs = ((rows - 1) * output_stride + size) * BYTES[views[0][1]]
    lengths = [outputs, inputs, 4 * rows, inputs, 4 * rows]
    lengths += [4 * _operands.reach(shape, strides) for _, _, shape, strides, _ in views[5:]]
    return _Plan(device, (tokens, heads, size), (*groups, input_stride, output_stride), dtype,
                 lengths, [index for index, (name, _) in enumerate(named) if name in _WRITTEN])


def _head_stride(name: str, shape: Tuple[int, ...], strides: Tuple[int, ...]) -> int:
    """The stride from head to head. Strides of extents 1 say nothing."""
    tokens, heads, size = shape
    stride = strides[1] if heads > 1 else strides[0] if tokens > 1 else size
    if 0 in shape:
        return size
    if ((size > 1 and strides[2] != 1) or stride < size
            or (tokens > 1 and strides[0] != heads * stride)):
        raise ValueError(
            f"expected {name} with strides [num_heads * s, s, 1] where s >= head_size (only heads "
            f"may be padded), got {list(strides)} for shape {list(shape)}; pass "
            f"{name}.contiguous()")
    return stride


def _check_outputs(output: _tensors.View, prefix: _tensors.View, suffix: _tensors.View,
                   fp8: bool) -> Tuple[int, int, int, int, int]:
    """(num_tokens, num_heads, head_size, input head stride, output head stride)."""
    _, dtype, shape, strides, _ = prefix
    if len(shape) != 3:
        raise ValueError(f"expected prefix_output of shape {_SHAPE}, got {list(shape)}")
    if dtype not in (F32, F16, BF16):
        raise TypeError("expected prefix_output of dtype float32, float16 or bfloat16, got "
                        f"{LONG_NAMES[dtype]}")
    if suffix[1] != dtype:
        raise TypeError(f"expected suffix_output of dtype {LONG_NAMES[dtype]} (that of "
                        f"prefix_output), got {LONG_NAMES[suffix[1]]}")
    if fp8:
        if output[1] not in (E4M3, U8):
            raise TypeError("expected output of dtype float8_e4m3fn (or uint8, its bits) because "
                            f"scales are given, got {LONG_NAMES[output[1]]}")
    elif output[1] != dtype:
        hint = "; give output_scale for FP8 output" if output[1] in (E4M3, U8) else ""
        raise TypeError(f"expected output of dtype {LONG_NAMES[dtype]} (that of prefix_output), got "
                        f"{LONG_NAMES[output[1]]}{hint}")
    for name, other in (("suffix_output", suffix), ("output", output)):
        if other[2] != shape:
            raise ValueError(f"expected {name} of shape {list(shape)} (that of prefix_output), got "
                             f"{list(other[2])}")
    input_stride = _head_stride("prefix_output", shape, strides)
    suffix_stride = _head_stride("suffix_output", shape, suffix[3])
    if suffix_stride != input_stride:
        raise ValueError(f"expected prefix_output and suffix_output with the same head stride, got "
                         f"{input_stride} and {suffix_stride}; pass both .contiguous()")
    return (*shape, input_stride, _head_stride("output", shape, output[3]))  # type: ignore[return-value]


def _context_tokens(count: Optional[int], num_tokens: int) -> Optional[int]:
    if count is None:
        return None
    if isinstance(count, bool) or not hasattr(count, "__index__") or hasattr(count, "__dlpack__"):
        # A tensor would have to be waited for.
        raise TypeError("expected prefill_tokens_with_context to be an int, got "
                        f"{type(count).__name__}")
    count = int(count)
    if not 0 <= count <= num_tokens:
        raise ValueError("expected prefill_tokens_with_context from 0 to num_tokens "
                         f"({num_tokens}), got {count}")
    return count
