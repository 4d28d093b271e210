"""fp8_attention, which `kernels` offers."""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import _attention_operands, _fp8_operands, _numbers, _operands, _runtime, _tensors
from ._errors import last_error
from ._fp8_operands import Plan
from ._library import C, Fp8AttentionArgs
from ._runtime import Runtime

_ARGS = struct.Struct("@Q12q17Q24q2f6i")  # cubinet_fp8_attention_args
_POINTERS = ("q", "k", "v", "cu_seqlens_q", "cu_seqlens_k", "seqused_q", "seqused_k", "page_table",
             "q_descale", "k_descale", "v_descale", "sinks", "out", "lse", "output_scale",
             "work_counters", "workspace")  # as the C struct has them
_REQUIRED = ("q", "k", "v", "cu_seqlens_q")
_WRITTEN = ("out", "lse", "work_counters", "workspace")
_AT_THE_END = -1  # CUBINET_ACCUM_AT_THE_END


def fp8_attention(q: Any, k: Any, v: Any, cu_seqlens_q: Any, cu_seqlens_k: Any = None,
                  max_seqlen_q: int = 0, max_seqlen_k: int = 0, *, seqused_q: Any = None,
                  seqused_k: Any = None, page_table: Any = None, out: Any = None, lse: Any = None,
                  return_lse: bool = False, softmax_scale: Optional[float] = None,
                  causal: bool = True, window_size: Optional[Tuple[int, int]] = (-1, -1),
                  softcap: float = 0.0, q_descale: Any = None, k_descale: Any = None,
                  v_descale: Any = None, sinks: Any = None, output_scale: Any = None,
                  accum_interval: int = 1, pack_gqa: int = 0, num_splits: int = 0,
                  invariant: bool = False, workspace: Any = None, work_counters: Any = None,
                  num_workers: int = 0, stream: Any = None, programmatic_dependent: bool = True,
                  runtime: Optional[Runtime] = None) -> Any:
    """Attention of FP8 queries, keys and values, prefill and decode, of sequences of any lengths.

    out[i, h] = sum over j of softmax_j(S[i, j]) * v_descale * v[j, g],
    S[i, j] = softmax_scale * (q_descale * q[i, h]) @ (k_descale * k[j, g]),
    g = h // (num_heads // num_kv_heads)

    Parameters are named as those of flash_attn_varlen_func, and those of a paged cache as
    flash_attn_with_kvcache's. Tokens cu_seqlens_q[b] to cu_seqlens_q[b + 1] ask for keys
    cu_seqlens_k[b] to cu_seqlens_k[b + 1]. Tensors of tokens may have any strides of whole 16
    bytes, as long as the elements of a head are contiguous: slices need no copy.

    q:             [num_tokens, num_heads, head_dim] float8_e4m3fn (or uint8, its bits), as k and v.
    k:             [num_keys, num_kv_heads, head_dim]; with page_table [num_pages, page_size,
                   num_kv_heads, head_dim]; as many heads as q, or a divisor of that.
    v:             the same with head_dim_v. head_dim and head_dim_v: 64, 96, 128, 192 or 256, both
                   alike, or 192 and 128.
    cu_seqlens_q:  [num_sequences + 1] int32, contiguous, ascending. For t tokens of each sequence:
                   torch.arange(0, (num_sequences + 1) * t, t, dtype=torch.int32, device=...).
    cu_seqlens_k:  the same of the keys; default: cu_seqlens_q, with as many keys as tokens. Not
                   with page_table.
    max_seqlen_q, max_seqlen_k: of any sequence, or more; 0: unknown. They choose the kernel and the
                   splits only: decode is fast where they are given.
    seqused_q, seqused_k: [num_sequences] int32, contiguous; optional: lengths in the place of those
                   by cu_seqlens. With page_table seqused_k must be given.
    page_table:    [num_sequences, max_pages] int32, rows contiguous: key j of sequence b is token
                   j % page_size of page page_table[b, j // page_size]; entries beyond a sequence
                   are not read.
    out:           [num_tokens, num_heads, head_dim_v] or [num_tokens, num_heads * head_dim_v]
                   bfloat16, or float8_e4m3fn (or uint8) with output_scale; default: made by torch
                   if q is its and the stream its current one. Written, for tokens of sequences.
    lse:           [num_heads, num_tokens] float32, contiguous, natural logarithm; optional.
                   Written. return_lse makes one if need be.
    softmax_scale: default: head_dim ** -0.5.
    causal:        query i of Lq sees key j of Lk if j <= i + Lk - Lq; False: all keys.
    window_size:   (left, right): it sees i + Lk - Lq - left <= j <= i + Lk - Lq + right only; -1:
                   unbounded.
    softcap:       scores are softcap * tanh(S / softcap); 0: as they are.
    q_descale, k_descale, v_descale: float32 of shape [num_sequences, num_kv_heads], with any
                   strides, expanded as well; or [num_kv_heads], or one element; default: 1.
    sinks:         [num_heads] bfloat16: the score of one more key, whose value is 0; optional.
    output_scale:  one float32; out = e4m3(attention / output_scale), saturating at +-448.
    accum_interval: key tiles after which sums of products are added up in float32: 1, or up to 64
                   where head_dim is up to 128; 0: only at the end, which loses long contexts.
    pack_gqa:      query heads of a key head that a block has side by side: 1, 4, 8 or 16; 0: the
                   most that fits. Changes no bit where accum_interval is 0 or 1.
    num_splits:    parts of the keys for different blocks, joined by a second kernel; 1: none, 0: as
                   many as keep the GPU busy.
    invariant:     a token gets the same bits in decode as in prefill: the same key tiles, and no
                   splits, which costs most of the speed of a few long sequences in decode.
    workspace:     contiguous memory for splits, of fp8_attention_workspace_bytes; default: made by
                   torch or CuPy if q is theirs and the stream is their current one. Where none can
                   be made, num_splits = 0 does not split.
    work_counters, num_workers: as mla_prefill.
    stream, programmatic_dependent, runtime: as merge_attn_states.

    Returns out, or (out, lse) with return_lse.

    Asynchronous, and may be captured into a CUDA graph. What torch makes while torch.cuda.graph
    captures belongs to the graph; CuPy makes no workspace while its stream captures; in a capture
    of another kind give a workspace of your own, or num_splits=1.
    Needs a GPU of compute capability 9.0. Raises as merge_attn_states does.
    """
    tensors = {"q": q, "k": k, "v": v, "cu_seqlens_q": cu_seqlens_q, "cu_seqlens_k": cu_seqlens_k,
               "seqused_q": seqused_q, "seqused_k": seqused_k, "page_table": page_table,
               "q_descale": q_descale, "k_descale": k_descale, "v_descale": v_descale,
               "sinks": sinks, "out": out, "lse": lse, "output_scale": output_scale,
               "work_counters": work_counters, "workspace": workspace}
    splits = _operands.number("num_splits", num_splits)
    numbers = _Numbers(
        (_operands.number("max_seqlen_q", max_seqlen_q),
         _operands.number("max_seqlen_k", max_seqlen_k)),
        (*_window(window_size), _interval(accum_interval), _operands.number("pack_gqa", pack_gqa),
         splits, _operands.number("num_workers", num_workers)),
        (_positive("softmax_scale", softmax_scale), _positive("softcap", softcap or None)),
        (not causal, *_flags(window_size), bool(invariant), not programmatic_dependent, 0))
    lent: List[Any] = []  # held until the launches are in the stream
    call = _read(tensors, numbers, stream, lent)
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    with _operands.current(q, call.plan.device, at):
        if out is None:
            out = call.make("out", q, call.plan.out_shape,
                            "bfloat16" if output_scale is None else "float8_e4m3fn")
        if lse is None and return_lse:
            lse = call.make("lse", q, (call.plan.out_shape[1], call.plan.out_shape[0]), "float32")
        packed = call.pack(call.plan.workspace_bytes)
        if workspace is None and splits != 1 and not invariant:
            packed = _with_workspace(call, packed, at, (q, splits, lent))
        status = C.cubinet_fp8_attention(at._alive(), packed, call.stream)
        if status:
            raise last_error(status)
    return (out, lse) if return_lse else out


def fp8_attention_workspace_bytes(
        num_sequences: int, num_tokens: int, num_heads: int, num_kv_heads: int = 0, *,
        max_seqlen_k: int, max_seqlen_q: int = 0, head_dim: int = 128, head_dim_v: int = 0,
        num_splits: int = 0, multiprocessors: int = 0, runtime: Optional[Runtime] = None) -> int:
    """Bytes of workspace with which fp8_attention splits the keys of these shapes as it would like
    to; 0 where it would not. multiprocessors: 0: those of the current device."""
    number = _operands.number
    sequences, longest = number("num_sequences", num_sequences), number("max_seqlen_k", max_seqlen_k)
    # There is something at 256: what is there is not looked at.
    args = Fp8AttentionArgs(
        num_sequences=sequences, num_query_tokens=number("num_tokens", num_tokens),
        num_key_tokens=min(sequences * longest, 1 << 30), num_heads=number("num_heads", num_heads),
        num_kv_heads=number("num_kv_heads", num_kv_heads), head_dim=number("head_dim", head_dim),
        head_dim_v=number("head_dim_v", head_dim_v), max_key_tokens=longest,
        max_query_tokens=number("max_seqlen_q", max_seqlen_q),
        num_splits=number("num_splits", num_splits),
        **{name: 256 for name in ("q", "k", "v", "cu_seqlens_q", "cu_seqlens_k", "output")})
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    return _workspace_bytes(at, ctypes.byref(args), number("multiprocessors", multiprocessors))


class _Numbers(NamedTuple):
    """What is no tensor, as the C struct has it."""

    longest: Tuple[int, int]  # max_query_tokens, max_key_tokens
    choices: Tuple[int, ...]  # window_left to num_workers
    scales: Tuple[float, float]  # softmax_scale, softcap
    flags: Tuple[int, ...]  # not_causal to reserved


class _Call(NamedTuple):
    """A call whose operands were found right."""

    plan: Plan
    addresses: Dict[str, int]
    numbers: _Numbers
    stream: int

    def make(self, name: str, like: Any, shape: Tuple[int, ...], dtype: str) -> Any:
        """A result that was not given. Raises ValueError where it must be."""
        made = _tensors.make(like, shape, dtype, self.stream)
        if made is None:
            raise ValueError(f"expected {name} of shape {list(shape)} {dtype}, since one is made "
                             f"only by torch, on its current stream; pass {name}")
        self.addresses[name] = _tensors.view(name, made, self.stream, [])[0]
        return made

    def pack(self, workspace_bytes: int) -> bytes:
        """A cubinet_fp8_attention_args."""
        plan, numbers = self.plan, self.numbers
        addresses = [self.addresses.get(name, 0) for name in _POINTERS]
        return _ARGS.pack(_ARGS.size, *plan.counts, *numbers.longest, *addresses, *plan.layout,
                          workspace_bytes, *numbers.choices, *numbers.scales, *numbers.flags)


# By names, dtypes, shapes, strides and devices.
_plans: Dict[Any, Plan] = {}


def _read(tensors: Dict[str, Any], numbers: _Numbers, stream: Any, lent: List[Any]) -> _Call:
    """Checks all operands. Raises as fp8_attention says."""
    named = [(name, tensor) for name, tensor in tensors.items()
             if tensor is not None or name in _REQUIRED]
    views, handle = _operands.views("fp8_attention", named, stream, lent, _WRITTEN)
    key = tuple([(name, view[1:]) for (name, _), view in zip(named, views)])
    by_name = {name: view for (name, _), view in zip(named, views)}
    plan = _plans.get(key) or _operands.keep(_plans, key, _fp8_operands.make_plan(named, by_name))
    return _Call(plan, {name: view[0] for name, view in by_name.items()}, numbers, handle)


# ---- Numbers ----

def _positive(name: str, value: Optional[float]) -> float:
    """What stands for the default is 0, which nobody can mean."""
    return 0.0 if value is None else _attention_operands.positive(name, value)


def _interval(value: Any) -> int:
    return _numbers.integer("accum_interval", value, 0, (1 << 31) - 1) or _AT_THE_END


def _window(given: Any) -> Tuple[int, int]:
    """(left, right), 0 where unbounded."""
    if given is None:
        return 0, 0
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"expected window_size to be (left, right), got {given!r}")
    left, right = (_operands.number("window_size", side) for side in given)
    if min(left, right) < -1:
        raise ValueError("expected window_size to be (left, right), each at least 0, or -1 for "
                         f"unbounded, got ({left}, {right})")
    return max(left, 0), max(right, 0)


def _flags(window: Any) -> Tuple[bool, bool]:
    """has_window_left and has_window_right of what _window has checked."""
    return (False, False) if window is None else (window[0] != -1, window[1] != -1)


# ---- Workspace ----

def _workspace_bytes(at: Runtime, args: Any, multiprocessors: int) -> int:
    count = ctypes.c_int64()
    status = C.cubinet_fp8_attention_workspace_bytes(at._alive(), args, multiprocessors,
                                                     ctypes.byref(count))
    if status:
        raise last_error(status)
    return count.value


def _with_workspace(call: _Call, packed: bytes, at: Runtime,
                    given: Tuple[Any, int, List[Any]]) -> bytes:
    """The arguments with a workspace, if they can and shall have one.

    given: q, num_splits, and what keeps the workspace until the launches are in the stream. It goes
    back to its library then, whose next use of it comes later in the same stream.
    """
    like, splits, lent = given
    count = 0 if 0 in call.plan.out_shape else _workspace_bytes(at, packed, 0)
    if count == 0:
        return packed
    if splits == 0:
        address = _tensors.try_scratch(like, count, call.stream, lent)
    else:
        address = _tensors.scratch(like, count, call.stream, lent)
    if address == 0:
        return packed
    call.addresses["workspace"] = address
    return call.pack(count)
