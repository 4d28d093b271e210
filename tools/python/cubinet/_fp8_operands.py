"""The operands of fp8_attention: what follows from their dtypes, shapes and strides."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from . import _attention_operands, _operands, _tensors
from ._attention_operands import strides_of_heads
from ._dtypes import BF16, BYTES, CODES, F32, I32

Views = Dict[str, _tensors.View]


class Plan(NamedTuple):
    """What follows from everything but addresses."""

    device: Optional[int]
    counts: Tuple[int, ...]  # num_sequences to page_size, as the C struct has them
    layout: Tuple[int, ...]  # q_token_stride to v_descale_head_stride, as the C struct has them
    out_shape: Tuple[int, int, int]
    workspace_bytes: int  # of the one that is given


class _Keys(NamedTuple):
    tokens: int  # 0 with pages
    heads: int
    head_dim_v: int
    pages: Tuple[int, int, int]  # max_pages, num_pages, page_size; 0 without
    strides: Tuple[int, ...]  # page, token and head of k, and of v


def make_plan(named: _operands.Named, views: Views) -> Plan:
    """Checks everything but addresses. Raises as fp8_attention says."""
    device = _operands.common_device(named, [views[name] for name, _ in named])
    tokens, heads, dim = _check_query(views["q"])
    sequences = _attention_operands.check_sequences(views["cu_seqlens_q"])
    keys = _check_pages(views, dim, sequences) if "page_table" in views else _check_keys(
        views, dim, sequences, tokens)
    if keys.heads == 0 and heads != 0:
        raise ValueError(f"expected k with one head at least, got shape {list(views['k'][2])}")
    for name in ("seqused_q", "seqused_k"):
        if name in views:
            _operands.check_ints(name, views[name], (sequences,), "[num_sequences]")
    shape = (tokens, heads, keys.head_dim_v)
    out = _check_results(views, shape)
    descales = [stride for name in ("q_descale", "k_descale", "v_descale")
                for stride in _check_descale(name, views, sequences, keys.heads)]
    layout = (*strides_of_heads("q", views["q"][2], views["q"][3]), *keys.strides, *out,
              _check_table(views, sequences), *descales)
    counts = (sequences, tokens, keys.tokens, heads, keys.heads, dim, keys.head_dim_v, *keys.pages)
    return Plan(device, counts, layout, shape, _workspace_bytes(views))


def _check_query(q: _tensors.View) -> Tuple[int, int, int]:
    _operands.check_dtype("q", q, CODES)
    if len(q[2]) != 3:
        raise ValueError("expected q of shape [num_tokens, num_heads, head_dim], the tokens of all "
                         f"sequences one after the other, got {list(q[2])}")
    return tuple(q[2])  # type: ignore[return-value]


def _check_keys(views: Views, dim: int, sequences: int, tokens: int) -> _Keys:
    """Keys of all sequences one after the other."""
    k, v = views["k"], views["v"]
    count, heads, dim_v = _check_shapes(k, v, dim, "[num_keys, num_kv_heads, head_dim")
    if "cu_seqlens_k" in views:
        _operands.check_ints("cu_seqlens_k", views["cu_seqlens_k"], (sequences + 1,),
                             "[num_sequences + 1]")
    elif count != tokens:
        raise ValueError(f"expected as many keys as tokens ({tokens}), since neither cu_seqlens_k "
                         f"nor page_table is given, got {count}; give one of them")
    return _Keys(count, heads, dim_v, (0, 0, 0), (0, *strides_of_heads("k", k[2], k[3]),
                                                  0, *strides_of_heads("v", v[2], v[3])))


def _check_pages(views: Views, dim: int, sequences: int) -> _Keys:
    """Keys in the pages of a cache."""
    k, v, table = views["k"], views["v"], views["page_table"]
    pages, size, heads, dim_v = _check_shapes(
        k, v, dim, "[num_pages, page_size, num_kv_heads, head_dim")
    if "cu_seqlens_k" in views:
        raise ValueError("cu_seqlens_k and page_table are both given; give seqused_k, the lengths, "
                         "with page_table")
    if "seqused_k" not in views:
        raise ValueError("expected seqused_k, the lengths of the sequences' keys, because "
                         "page_table is given")
    _operands.check_dtype("page_table", table, (I32,))
    if len(table[2]) != 2 or table[2][0] != sequences:
        raise ValueError("expected page_table of shape [num_sequences, max_pages] = "
                         f"[{sequences}, max_pages], got {list(table[2])}")
    if table[2][1] == 0:
        raise ValueError(f"expected page_table with one page at least, got {list(table[2])}")
    return _Keys(0, heads, dim_v, (table[2][1], pages, size),
                 (*_page_strides("k", k), *_page_strides("v", v)))


def _check_shapes(k: _tensors.View, v: _tensors.View, dim: int, words: str) -> Tuple[int, ...]:
    """The extents of v. words: the shape's, less a bracket."""
    _operands.check_dtype("k", k, CODES)
    _operands.check_dtype("v", v, CODES)
    rank = words.count(",") + 1
    if len(k[2]) != rank or k[2][-1] != dim:
        hint = "; give page_table for pages" if (rank, len(k[2])) == (3, 4) else ""
        raise ValueError(f"expected k of shape {words}] with head_dim {dim}, that of q, got "
                         f"{list(k[2])}{hint}")
    if len(v[2]) != rank or tuple(v[2][:-1]) != tuple(k[2][:-1]):
        rest = ", ".join(map(str, k[2][:-1]))
        raise ValueError(f"expected v of shape {words}_v] = [{rest}, head_dim_v], got "
                         f"{list(v[2])}")
    return tuple(v[2])


def _page_strides(name: str, view: _tensors.View) -> Tuple[int, int, int]:
    """From page to page, token to token and head to head; 0 where there are no two."""
    _, _, shape, strides, _ = view
    heads = strides_of_heads(name, shape[1:], strides[1:])
    if 0 in shape or shape[0] == 1:
        return (0, *heads)
    if strides[0] == 0:
        raise ValueError(f"expected {name} with memory for every page, got strides {list(strides)} "
                         f"(of an expanded tensor?) for shape {list(shape)}; pass "
                         f"{name}.contiguous()")
    return (strides[0], *heads)


def _check_table(views: Views, sequences: int) -> int:
    """Entries from row to row."""
    if "page_table" not in views:
        return 0
    _, _, shape, strides, _ = views["page_table"]
    if (shape[1] > 1 and strides[1] != 1) or (sequences > 1 and strides[0] < shape[1]):
        raise ValueError("expected page_table whose rows are contiguous and apart, got strides "
                         f"{list(strides)} for shape {list(shape)}; pass page_table.contiguous()")
    return strides[0] if sequences > 1 else 0


def _check_results(views: Views, shape: Tuple[int, int, int]) -> Tuple[int, int]:
    """What is written, and what has one element per head. Returns: the strides of out."""
    tokens, heads, _ = shape
    scale = views.get("output_scale")
    _attention_operands.check_scales(scale, None, False, shape)
    if "lse" in views:
        _attention_operands.check_lse("lse", views["lse"], heads, tokens)
    if "work_counters" in views:
        _operands.check_ints("work_counters", views["work_counters"], (2,), "[2]")
    if "sinks" in views:
        _operands.check("sinks", views["sinks"], (BF16,), (heads,), "[num_heads]")
    if "out" not in views:
        return 0, 0  # one is made without gaps
    return _attention_operands.check_out(views["out"], shape, scale is not None, (BF16,))


def _check_descale(name: str, views: Views, sequences: int, heads: int) -> Tuple[int, int]:
    """From sequence to sequence and from key head to key head; 0 where one factor is for all."""
    if name not in views:
        return 0, 0
    _, _, shape, strides, _ = views[name]
    _operands.check_dtype(name, views[name], (F32,))
    if all(extent == 1 for extent in shape):
        return 0, 0
    if tuple(shape) == (heads,):
        return 0, strides[0]
    if len(shape) != 2 or shape[0] not in (1, sequences) or shape[1] not in (1, heads):
        raise ValueError(f"expected {name} of shape [num_sequences, num_kv_heads] = [{sequences}, "
                         f"{heads}], or 1 for either, [num_kv_heads] or [1], got {list(shape)}")
    return strides[0] if shape[0] > 1 else 0, strides[1] if shape[1] > 1 else 0


def _workspace_bytes(views: Views) -> int:
    if "workspace" not in views:
        return 0
    _, dtype, shape, _, _ = views["workspace"]
    _operands.check_contiguous("workspace", views["workspace"])
    return _extent(shape) * BYTES[dtype]


def _extent(shape: Sequence[int]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count
