"""mla_prefill and its chain with context, which `kernels` offers."""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import _attention_operands, _dtypes, _mla_operands, _numbers, _operands, _runtime, _tensors
from ._dtypes import BYTES, E4M3, LONG_NAMES, U8
from ._errors import last_error
from ._library import C, MlaPrefillArgs
from ._mla_operands import Plan
from ._runtime import Runtime

_ARGS = struct.Struct("@Q7q11Q13qf5i")  # cubinet_mla_prefill_args
_CHUNK = struct.Struct("@q4Q5q")  # cubinet_mla_context_chunk
_POINTERS = ("q", "k", "v", "k_rope", "cu_seqlens_q", "cu_seqlens_k", "out", "lse", "output_scale",
             "output_group_scales", "work_counters")  # as the C struct has them
_REQUIRED = ("q", "k", "v", "cu_seqlens_q", "out")
_WRITTEN = ("out", "lse", "output_group_scales", "work_counters", "workspace")


def mla_prefill(q: Any, k: Any, v: Any, cu_seqlens_q: Any, cu_seqlens_k: Any = None, *, out: Any,
                lse: Any = None, k_rope: Any = None, causal: bool = True,
                softmax_scale: Optional[float] = None, output_scale: Any = None,
                output_group_scales: Any = None, use_ue8m0_scales: bool = False,
                work_counters: Any = None, num_workers: int = 0, stream: Any = None,
                programmatic_dependent: bool = True, runtime: Optional[Runtime] = None) -> None:
    """Attention of prefill for sequences of any lengths, optionally to FP8.

    out[i, h] = sum over j of softmax_j(softmax_scale * q[i, h] @ k[j, g]) * v[j, g],
    g = h // (num_heads // num_kv_heads)

    Tokens cu_seqlens_q[b] to cu_seqlens_q[b + 1] ask for keys cu_seqlens_k[b] to
    cu_seqlens_k[b + 1]. The tensors of tokens may have any strides of whole 16 bytes, as long as
    the elements of a head are contiguous: slices need no copy.

    q:             [num_tokens, num_heads, head_dim] bfloat16.
    k:             [num_keys, num_kv_heads, head_dim] bfloat16, head_dim - 64 with k_rope; as many
                   heads as q, or a divisor of that (GQA, MQA).
    v:             [num_keys, num_kv_heads, head_dim_v] bfloat16, finite: a NaN may reach rows of
                   its sequence that do not see it. head_dim and head_dim_v: 192 and 128, 128 and
                   128, or 64 and 64.
    cu_seqlens_q:  [num_sequences + 1] int32, contiguous, ascending.
    cu_seqlens_k:  the same of the keys; default: cu_seqlens_q, with as many keys as tokens.
    out:           [num_tokens, num_heads, head_dim_v] or [num_tokens, num_heads * head_dim_v]
                   bfloat16, float16 or float32, or float8_e4m3fn (or uint8, its bits) with
                   output_scale or output_group_scales. Written, for tokens of sequences.
    lse:           [num_heads, num_tokens] float32, contiguous, natural logarithm; optional.
                   Written.
    k_rope:        [num_keys, 64] or [num_keys, 1, 64] bfloat16: the last 64 elements of every key,
                   one head for all; optional.
    causal:        query i of Lq sees key j of Lk if j <= i + Lk - Lq; False: all keys.
    softmax_scale: default: head_dim ** -0.5.
    output_scale, output_group_scales, use_ue8m0_scales: as merge_attn_states.
    work_counters: [2] int32; optional: thread blocks take work by them as they get free, which
                   balances long prefills better. Zero before the first call; every call leaves them
                   zero. Calls that may run at the same time must not share them: keep one tensor
                   per stream, and another for every captured graph. None are kept for you, because
                   nobody can tell beside what a graph will be replayed.
    num_workers:   thread blocks, at most; 0: the device's multiprocessors.
    stream, programmatic_dependent, runtime: as merge_attn_states.

    Asynchronous, and may be captured into a CUDA graph. Needs a GPU of compute capability 9.0.
    Raises as merge_attn_states does.
    """
    tensors = {"q": q, "k": k, "v": v, "cu_seqlens_q": cu_seqlens_q, "out": out,
               "cu_seqlens_k": cu_seqlens_k, "k_rope": k_rope, "lse": lse,
               "output_scale": output_scale, "output_group_scales": output_group_scales,
               "work_counters": work_counters}
    options = _Options(causal, softmax_scale, use_ue8m0_scales, num_workers,
                       programmatic_dependent)
    lent: List[Any] = []  # held until the launch is in the stream
    call = _read("mla_prefill", tensors, options, stream, lent)
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    with _operands.current(q, call.plan.device, at):
        status = C.cubinet_mla_prefill(at._alive(), call.packed, call.stream)
        if status:
            raise last_error(status)


class MlaContextChunk(NamedTuple):
    """Keys that come before the new tokens of every sequence, or a part of them; as the operands of
    mla_prefill of these names, with strides of their own, and k_rope whatever the new tokens have."""

    k: Any
    v: Any
    cu_seqlens_k: Any
    k_rope: Any = None


def mla_prefill_with_context(
        q: Any, k: Any, v: Any, cu_seqlens_q: Any, chunks: Sequence[MlaContextChunk],
        cu_seqlens_k: Any = None, *, out: Any, lse: Any = None, k_rope: Any = None,
        causal: bool = True, softmax_scale: Optional[float] = None, output_scale: Any = None,
        output_group_scales: Any = None, use_ue8m0_scales: bool = False, workspace: Any = None,
        work_counters: Any = None, num_workers: int = 0, stream: Any = None,
        programmatic_dependent: bool = True, runtime: Optional[Runtime] = None) -> None:
    """Attention of new tokens to a context in chunks and to themselves, optionally to FP8.

    Every chunk is attended to without a mask, the new tokens as mla_prefill does, and the parts are
    joined by their LSEs: as one call over all keys of a sequence, those of the chunks in order and
    then its own. The last join writes out and lse, also of tokens in no sequence.

    chunks:    MlaContextChunks, or tuples of as much; may be empty.
    out:       as mla_prefill, whose heads lie one after the other: a head may be padded, a token
               may not.
    workspace: contiguous memory of mla_prefill_workspace_bytes; default: made by torch or CuPy if
               q is theirs and the stream is their current one.

    All else as mla_prefill.
    """
    tensors = {"q": q, "k": k, "v": v, "cu_seqlens_q": cu_seqlens_q, "out": out,
               "cu_seqlens_k": cu_seqlens_k, "k_rope": k_rope, "lse": lse,
               "output_scale": output_scale, "output_group_scales": output_group_scales,
               "work_counters": work_counters, "workspace": workspace}
    count = _add_chunks(tensors, chunks)
    options = _Options(causal, softmax_scale, use_ue8m0_scales, num_workers,
                       programmatic_dependent, count)
    lent: List[Any] = []  # held until the launches are in the stream
    call = _read("mla_prefill_with_context", tensors, options, stream, lent)
    packed_chunks = _pack_chunks(call)
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    with _operands.current(q, call.plan.device, at):
        memory = _workspace(q, call, lent)
        status = C.cubinet_mla_prefill_with_context(at._alive(), call.packed, packed_chunks, count,
                                                    memory, call.stream)
        if status:
            raise last_error(status)


def mla_prefill_workspace_bytes(num_tokens: int, num_heads: int, num_chunks: int, *,
                                head_dim_v: int = 128, dtype: Any = "bfloat16") -> int:
    """Bytes of workspace that mla_prefill_with_context needs for so many chunks and an out of this
    shape and dtype."""
    number = _dtypes.of_name(getattr(dtype, "__name__", dtype)) or _SHORT_NAMES.get(str(dtype), 0)
    if number not in _mla_operands.OUTPUTS and number not in (E4M3, U8):
        raise TypeError("expected dtype to be bfloat16, float16, float32, float8_e4m3fn or uint8, "
                        f"got {dtype!r}")
    fp8 = number in (E4M3, U8)
    dim = _operands.number("head_dim_v", head_dim_v)
    tokens = _operands.number("num_tokens", num_tokens)
    # There is a scale at 4: what is there is not looked at.
    args = MlaPrefillArgs(num_sequences=1, num_query_tokens=tokens, num_key_tokens=tokens,
                          num_heads=_operands.number("num_heads", num_heads), head_dim=dim,
                          head_dim_v=dim, output_scale=4 if fp8 else 0,
                          output_type=0 if fp8 else number)
    return _workspace_bytes(ctypes.byref(args),
                            _numbers.integer("num_chunks", num_chunks, 0, (1 << 31) - 1))


_SHORT_NAMES = {name: number for number, name in _dtypes.NAMES.items()}


class _Options(NamedTuple):
    causal: bool
    softmax_scale: Optional[float]
    use_ue8m0_scales: bool
    num_workers: int
    programmatic_dependent: bool
    num_chunks: int = 0


class _Call(NamedTuple):
    """A call whose operands were found right."""

    views: Dict[str, _tensors.View]
    plan: Plan
    packed: bytes  # cubinet_mla_prefill_args
    stream: int


# By names, dtypes, shapes, strides and devices.
_plans: Dict[Any, Plan] = {}


def _read(function: str, tensors: Dict[str, Any], options: _Options, stream: Any,
          lent: List[Any]) -> _Call:
    """Checks all operands. Raises as mla_prefill says."""
    named = [(name, tensor) for name, tensor in tensors.items()
             if tensor is not None or name in _REQUIRED]
    views, handle = _operands.views(function, named, stream, lent, _WRITTEN)
    ue8m0 = bool(options.use_ue8m0_scales)
    key = (ue8m0, options.num_chunks,
           *[(name, view[1:]) for (name, _), view in zip(named, views)])
    by_name = {name: view for (name, _), view in zip(named, views)}
    plan = _plans.get(key) or _operands.keep(
        _plans, key, _mla_operands.make_plan(named, by_name, ue8m0, options.num_chunks))
    addresses = [by_name[name][0] if name in by_name else 0 for name in _POINTERS]
    scale = options.softmax_scale
    packed = _ARGS.pack(_ARGS.size, *plan.counts, *addresses, *plan.layout,
                        _operands.number("num_workers", options.num_workers),
                        0 if scale is None else _attention_operands.positive("softmax_scale", scale),
                        plan.output_type, not options.causal, ue8m0,
                        not options.programmatic_dependent, 0)
    return _Call(by_name, plan, packed, handle)


# ---- Chunks ----

def _add_chunks(tensors: Dict[str, Any], chunks: Sequence[MlaContextChunk]) -> int:
    """Adds the operands of all chunks under their names. Returns: how many chunks there are."""
    if not hasattr(chunks, "__iter__"):
        raise TypeError("expected chunks to be a list of MlaContextChunk, which may be empty, got "
                        f"{type(chunks).__name__}")
    count = 0
    for given in chunks:
        try:
            chunk = MlaContextChunk(*given)
        except TypeError:
            raise TypeError(f"expected chunks[{count}] to be an MlaContextChunk or a tuple (k, v, "
                            f"cu_seqlens_k, k_rope), got {type(given).__name__}") from None
        for field, tensor in zip(chunk._fields, chunk):
            if tensor is None and field != "k_rope":
                raise TypeError(f"expected chunks[{count}].{field} to be a CUDA tensor, got "
                                "NoneType")
            tensors[f"chunks[{count}].{field}"] = tensor
        count += 1
    return count


def _pack_chunks(call: _Call) -> bytes:
    packed = []
    for index, (tokens, *strides) in enumerate(call.plan.chunks):
        addresses = [call.views[name][0] if name in call.views else 0 for name in (
            f"chunks[{index}].k", f"chunks[{index}].v", f"chunks[{index}].k_rope",
            f"chunks[{index}].cu_seqlens_k")]
        packed.append(_CHUNK.pack(tokens, *addresses, *strides))
    return b"".join(packed)


# ---- Workspace ----

def _workspace_bytes(args: Any, num_chunks: int) -> int:
    count = ctypes.c_int64()
    status = C.cubinet_mla_prefill_workspace_bytes(args, num_chunks, ctypes.byref(count))
    if status:
        raise last_error(status)
    return count.value


def _workspace(q: Any, call: _Call, lent: List[Any]) -> int:
    """The address of enough memory: what was given, or made here and kept by `lent`.

    Memory that is made here goes back to its library as soon as the launches are in the stream.
    That is sound where the library knows of that stream: who gets it next, uses it later.
    """
    expected = _workspace_bytes(call.packed, len(call.plan.chunks))
    given = call.views.get("workspace")
    if given is None:
        return _tensors.scratch(q, expected, call.stream, lent) if expected else 0
    address, dtype, shape, strides, _ = given
    found = BYTES[dtype]
    for extent in shape:
        found *= extent
    if found < expected:
        raise ValueError(f"expected workspace of {expected} bytes, got {found}: {list(shape)} "
                         f"{LONG_NAMES[dtype]}")
    _operands.check_contiguous("workspace", given)
    return address
