"""The operands of mla_prefill: what follows from their dtypes, shapes and strides."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Tuple

from . import _attention_operands, _operands, _tensors
from ._attention_operands import strides_of_heads
from ._dtypes import BF16, F16, F32

OUTPUTS = (BF16, F16, F32)  # but for FP8
_ROPE_DIM = 64

Views = Dict[str, _tensors.View]


class Plan(NamedTuple):
    """What follows from everything but addresses."""

    device: Optional[int]
    counts: Tuple[int, ...]  # num_sequences to head_dim_v, as the C struct has them
    layout: Tuple[int, ...]  # q_token_stride to output_scale_group_stride, as the C struct has them
    output_type: int  # 0 with FP8 output
    chunks: Tuple[Tuple[int, ...], ...]  # num_key_tokens and the five strides of each


class _Keys(NamedTuple):
    """Keys and values: the new tokens' own, or those of a chunk."""

    tokens: int
    heads: int
    head_dim_v: int
    strides: Tuple[int, int, int, int, int]  # token and head of k, of v, token of k_rope


def make_plan(named: _operands.Named, views: Views, ue8m0: bool, num_chunks: int) -> Plan:
    """Checks everything but addresses. Raises as mla_prefill says."""
    device = _operands.common_device(named, [views[name] for name, _ in named])
    tokens, heads, dim = _check_query(views["q"])
    own = _check_keys("", views, dim)
    if own.heads == 0 and heads != 0:
        raise ValueError(f"expected k with one head at least, got shape {list(views['k'][2])}")
    sequences = _check_sequences(views, tokens, own.tokens)
    scale, scales = views.get("output_scale"), views.get("output_group_scales")
    shape = (tokens, heads, own.head_dim_v)
    groups = _attention_operands.check_scales(scale, scales, ue8m0, shape)
    fp8 = scale is not None or scales is not None
    layout = (*strides_of_heads("q", views["q"][2], views["q"][3]), *own.strides,
              *_attention_operands.check_out(views["out"], shape, fp8, OUTPUTS), *groups)
    if "lse" in views:
        _attention_operands.check_lse("lse", views["lse"], heads, tokens)
    if "work_counters" in views:
        _operands.check_ints("work_counters", views["work_counters"], (2,), "[2]")
    chunks = tuple([_check_chunk(f"chunks[{index}].", views, (dim, own, sequences))
                    for index in range(num_chunks)])
    counts = (sequences, tokens, own.tokens, heads, own.heads, dim, own.head_dim_v)
    return Plan(device, counts, layout, 0 if fp8 else views["out"][1], chunks)


def _check_query(q: _tensors.View) -> Tuple[int, int, int]:
    _operands.check_dtype("q", q, (BF16,))
    if len(q[2]) != 3:
        raise ValueError("expected q of shape [num_tokens, num_heads, head_dim], got "
                         f"{list(q[2])}")
    return tuple(q[2])  # type: ignore[return-value]


def _check_keys(prefix: str, views: Views, dim: int) -> _Keys:
    k, v, rope = (views.get(prefix + name) for name in ("k", "v", "k_rope"))
    assert k is not None and v is not None
    _operands.check_dtype(prefix + "k", k, (BF16,))
    _operands.check_dtype(prefix + "v", v, (BF16,))
    rest = dim if rope is None else dim - _ROPE_DIM
    if len(k[2]) != 3 or k[2][2] != rest:
        words = "head_dim" if rope is None else f"head_dim - {_ROPE_DIM}"
        raise ValueError(f"expected {prefix}k of shape [num_keys, num_kv_heads, {words}] = "
                         f"[num_keys, num_kv_heads, {rest}], got {list(k[2])}")
    tokens, heads, _ = k[2]
    if len(v[2]) != 3 or tuple(v[2][:2]) != (tokens, heads):
        raise ValueError(f"expected {prefix}v of shape [num_keys, num_kv_heads, head_dim_v] = "
                         f"[{tokens}, {heads}, head_dim_v], got {list(v[2])}")
    return _Keys(tokens, heads, v[2][2], (
        *strides_of_heads(prefix + "k", k[2], k[3]), *strides_of_heads(prefix + "v", v[2], v[3]),
        0 if rope is None else _check_rope(prefix + "k_rope", rope, tokens)))


def _check_rope(name: str, rope: _tensors.View, tokens: int) -> int:
    """The stride from token to token."""
    _, _, shape, strides, _ = rope
    _operands.check_dtype(name, rope, (BF16,))
    if tuple(shape) not in ((tokens, _ROPE_DIM), (tokens, 1, _ROPE_DIM)):
        raise ValueError(f"expected {name} of shape [num_keys, {_ROPE_DIM}] = [{tokens}, "
                         f"{_ROPE_DIM}], also with a dimension of 1 between, got {list(shape)}")
    return strides_of_heads(name, (tokens, 1, _ROPE_DIM), (strides[0], 0, strides[-1]))[0]


def _check_sequences(views: Views, tokens: int, keys: int) -> int:
    """The number of sequences."""
    sequences = _attention_operands.check_sequences(views["cu_seqlens_q"])
    if "cu_seqlens_k" in views:
        _operands.check_ints("cu_seqlens_k", views["cu_seqlens_k"], (sequences + 1,),
                             "[num_sequences + 1]")
    elif keys != tokens:
        raise ValueError(f"expected as many keys as tokens ({tokens}), since cu_seqlens_k is not "
                         f"given, got {keys}; give cu_seqlens_k")
    return sequences


def _check_chunk(prefix: str, views: Views, expected: Tuple[int, _Keys, int]) -> Tuple[int, ...]:
    """num_key_tokens and strides. expected: head_dim, the new tokens' keys, num_sequences."""
    dim, own, sequences = expected
    chunk = _check_keys(prefix, views, dim)
    if (chunk.heads, chunk.head_dim_v) != (own.heads, own.head_dim_v):
        raise ValueError(f"expected {prefix}k and {prefix}v with {own.heads} heads, of "
                         f"{own.head_dim_v} elements in {prefix}v, as those of k and v, got "
                         f"{chunk.heads} of {chunk.head_dim_v}")
    _operands.check_ints(prefix + "cu_seqlens_k", views[prefix + "cu_seqlens_k"],
                         (sequences + 1,), "[num_sequences + 1]")
    return (chunk.tokens, *chunk.strides)
