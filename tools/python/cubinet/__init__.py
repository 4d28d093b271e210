"""Cubinet: a runtime CUDA kernel compiler and cache.

    kernel = cubinet.get_kernel("my_template", TILE=64, TYPE=torch.bfloat16)
    kernel.launch(grid, kernel.info.constants["THREADS"], params)

    cubinet.kernels.merge_attn_states(output, prefix_output, prefix_lse, suffix_output, suffix_lse)
    cubinet.kernels.paged_mqa_logits(logits, query, kv_cache, weights, context_lens, block_table)
    cubinet.kernels.mla_prefill(q, k, v, cu_seqlens_q, out=out, output_scale=scale)
    out = cubinet.kernels.fp8_attention(q, k, v, cu_seqlens_q, cu_seqlens_k)

A kernel is compiled once per machine and kept on disk. Functions here use the process-wide Runtime,
configured by CUBINET_* variables; a Runtime of one's own takes options instead.
"""

from __future__ import annotations

from . import kernels
from ._errors import (
    CompileError,
    DriverError,
    Error,
    FrozenMissError,
    InternalError,
    InvalidArgumentError,
    InvalidTemplateError,
    IoError,
    NoCompilerError,
    NoDriverError,
    ShuttingDownError,
    UnknownTemplateError,
    UnstableSignatureError,
    UnsupportedArchError,
)
from ._kernel import Kernel, KernelInfo
from ._library import LIBRARY_PATH, __version__
from ._runtime import (
    PrecompileReport,
    Runtime,
    Stats,
    add_templates,
    get_kernel,
    precompile,
    prefetch,
    prefetch_all,
    shared_runtime,
    stats,
    try_get_kernel,
    warm_up,
)
from ._tensor_map import TensorMap, make_tensor_map
from ._warm_up import KernelSpec, Prefetch, WarmUpReport

__all__ = [
    "CompileError",
    "DriverError",
    "Error",
    "FrozenMissError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidTemplateError",
    "IoError",
    "Kernel",
    "KernelInfo",
    "KernelSpec",
    "LIBRARY_PATH",
    "NoCompilerError",
    "NoDriverError",
    "PrecompileReport",
    "Prefetch",
    "Runtime",
    "ShuttingDownError",
    "Stats",
    "TensorMap",
    "UnknownTemplateError",
    "UnstableSignatureError",
    "UnsupportedArchError",
    "WarmUpReport",
    "__version__",
    "add_templates",
    "get_kernel",
    "kernels",
    "make_tensor_map",
    "precompile",
    "prefetch",
    "prefetch_all",
    "shared_runtime",
    "stats",
    "try_get_kernel",
    "warm_up",
]
