"""libcubinet.so: finding it, and include/jit/c.h for ctypes."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32
from ctypes import c_uint64, c_void_p
from pathlib import Path
from typing import Iterator, List, Tuple

C_ABI_VERSION = 1  # CUBINET_C_ABI_VERSION of the header that is mirrored here


class Growing(ctypes.Structure):
    """A struct that may grow: it says its own size, and everything else is zero."""

    def __init__(self, **fields):
        super().__init__(struct_bytes=ctypes.sizeof(type(self)), **fields)


LogFunction = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
ProgressFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64, c_char_p, c_int32)


class Constant(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("text", c_char_p), ("number", c_int64), ("kind", c_int32),
                ("reserved", c_int32)]


class Size(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_int64)]


class RuntimeOptions(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("cache_dir", c_char_p),
                ("template_path", POINTER(c_char_p)), ("template_path_count", c_size_t),
                ("nvrtc", c_char_p), ("driver", c_char_p), ("cuda_home", c_char_p),
                ("reproduction_dir", c_char_p), ("lock_timeout_ms", c_int64), ("log", LogFunction),
                ("log_user", c_void_p), ("log_level", c_int32), ("mode", c_int32),
                ("toolchain_policy", c_int32), ("memory_only", c_int32), ("trust_group", c_int32),
                ("pack_toolchain", c_int32), ("max_cache_bytes", c_uint64), ("min_free_bytes", c_uint64),
                ("trace_file", c_char_p), ("churn_limit", c_uint64), ("churn", c_int32),
                ("reserved_2", c_int32),
                ("packs", POINTER(c_char_p)), ("pack_count", c_size_t),
                ("record_file", c_char_p), ("tuning_files", POINTER(c_char_p)),
                ("tuning_file_count", c_size_t), ("tuning_budget_ms", c_int64),
                ("tuning", c_int32), ("reserved_3", c_int32)]


class Stats(Growing):
    _fields_ = [("struct_bytes", c_size_t)] + [
        (name, c_uint64) for name in (
            "disk_hits", "misses", "compiles", "compile_failures", "published", "publish_failures",
            "quarantined", "lock_waits", "lock_timeouts", "evicted", "evicted_bytes", "memory_hits",
            "memory_kernels", "memory_bytes", "compile_us", "saved_us", "churn_warnings",
            "churn_refusals", "pack_hits")]


class Request(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("name", c_char_p), ("constants", POINTER(Constant)),
                ("constant_count", c_size_t), ("sizes", POINTER(Size)), ("size_count", c_size_t),
                ("has_device", c_int32), ("device", c_int32), ("debug", c_int32),
                ("reserved", c_int32)]


class PrecompileReport(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("name", c_char_p), ("signature", c_char_p),
                ("arch", c_char_p), ("key", c_char_p), ("compile_ms", c_double),
                ("cubin_bytes", c_uint64), ("registers", c_uint32), ("smem_bytes", c_uint32),
                ("spill_bytes", c_uint32), ("hit", c_int32), ("toolchain", c_char_p)]


class KernelInfo(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("name", c_char_p), ("signature", c_char_p),
                ("symbol", c_char_p), ("arch", c_char_p), ("constant_count", c_size_t),
                ("params_bytes", c_uint32), ("registers", c_uint32), ("smem_bytes", c_uint32),
                ("spill_bytes", c_uint32), ("max_threads", c_uint32), ("reserved", c_uint32),
                ("toolchain", c_char_p)]


class LaunchConfig(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("stream", c_void_p), ("grid", c_uint32 * 3),
                ("block", c_uint32 * 3), ("cluster", c_uint32 * 3), ("smem_bytes", c_uint32),
                ("programmatic_dependent", c_int32), ("reserved", c_int32)]


class WarmUpReport(Growing):
    _fields_ = [("struct_bytes", c_size_t)] + [
        (name, c_uint64) for name in (
            "kernels", "in_memory", "found", "compiled", "made_elsewhere", "failed", "elapsed_us")]


class Fp8AttentionArgs(Growing):
    _fields_ = [("struct_bytes", c_size_t)] + [
        (name, c_int64) for name in (
            "num_sequences", "num_query_tokens", "num_key_tokens", "num_heads", "num_kv_heads",
            "head_dim", "head_dim_v", "max_pages", "num_pages", "page_size", "max_query_tokens",
            "max_key_tokens")] + [
        (name, c_void_p) for name in (
            "q", "k", "v", "cu_seqlens_q", "cu_seqlens_k", "seqused_q", "seqused_k", "page_table",
            "q_descale", "k_descale", "v_descale", "sinks", "output", "lse", "output_scale",
            "work_counters", "workspace")] + [
        (name, c_int64) for name in (
            "q_token_stride", "q_head_stride", "k_page_stride", "k_token_stride", "k_head_stride",
            "v_page_stride", "v_token_stride", "v_head_stride", "output_token_stride",
            "output_head_stride", "page_table_stride", "q_descale_sequence_stride",
            "q_descale_head_stride", "k_descale_sequence_stride", "k_descale_head_stride",
            "v_descale_sequence_stride", "v_descale_head_stride", "workspace_bytes", "window_left",
            "window_right", "accum_interval", "pack_gqa", "num_splits", "num_workers")] + [
        ("softmax_scale", c_float), ("softcap", c_float)] + [
        (name, c_int32) for name in (
            "not_causal", "has_window_left", "has_window_right", "invariant", "in_order",
            "reserved")]


class MergeAttnStatesArgs(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("num_tokens", c_int64), ("num_heads", c_int64),
                ("head_size", c_int64), ("prefix_output", c_void_p), ("suffix_output", c_void_p),
                ("prefix_lse", c_void_p), ("suffix_lse", c_void_p), ("output", c_void_p),
                ("output_lse", c_void_p), ("output_scale", c_void_p),
                ("output_group_scales", c_void_p), ("output_group_size", c_int64),
                ("output_scale_token_stride", c_int64), ("output_scale_group_stride", c_int64),
                ("input_head_stride", c_int64), ("output_head_stride", c_int64),
                ("num_context_tokens", c_int64), ("has_num_context_tokens", c_int32),
                ("input_type", c_int32), ("use_ue8m0_scales", c_int32),
                ("programmatic_dependent", c_int32)]


class MlaPrefillArgs(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("num_sequences", c_int64),
                ("num_query_tokens", c_int64), ("num_key_tokens", c_int64),
                ("num_heads", c_int64), ("num_kv_heads", c_int64), ("head_dim", c_int64),
                ("head_dim_v", c_int64), ("q", c_void_p), ("k", c_void_p), ("v", c_void_p),
                ("k_rope", c_void_p), ("cu_seqlens_q", c_void_p), ("cu_seqlens_k", c_void_p),
                ("output", c_void_p), ("lse", c_void_p), ("output_scale", c_void_p),
                ("output_group_scales", c_void_p), ("work_counters", c_void_p),
                ("q_token_stride", c_int64), ("q_head_stride", c_int64),
                ("k_token_stride", c_int64), ("k_head_stride", c_int64),
                ("v_token_stride", c_int64), ("v_head_stride", c_int64),
                ("k_rope_token_stride", c_int64), ("output_token_stride", c_int64),
                ("output_head_stride", c_int64), ("output_group_size", c_int64),
                ("output_scale_token_stride", c_int64), ("output_scale_group_stride", c_int64),
                ("num_workers", c_int64), ("softmax_scale", c_float), ("output_type", c_int32),
                ("not_causal", c_int32), ("use_ue8m0_scales", c_int32), ("in_order", c_int32),
                ("reserved", c_int32)]


class MlaContextChunk(ctypes.Structure):
    _fields_ = [("num_key_tokens", c_int64), ("k", c_void_p), ("v", c_void_p),
                ("k_rope", c_void_p), ("cu_seqlens_k", c_void_p), ("k_token_stride", c_int64),
                ("k_head_stride", c_int64), ("v_token_stride", c_int64),
                ("v_head_stride", c_int64), ("k_rope_token_stride", c_int64)]


class MqaLogitsArgs(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("num_tokens", c_int64), ("num_keys", c_int64),
                ("num_heads", c_int64), ("head_dim", c_int64), ("query", c_void_p),
                ("keys", c_void_p), ("key_scales", c_void_p), ("weights", c_void_p),
                ("starts", c_void_p), ("ends", c_void_p), ("logits", c_void_p),
                ("logits_width", c_int64), ("logits_stride", c_int64), ("num_workers", c_int64),
                ("logits_type", c_int32), ("compressed_logits", c_int32),
                ("clean_logits", c_int32), ("in_order", c_int32)]


class PagedMqaLogitsArgs(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("batch", c_int64), ("next_n", c_int64),
                ("num_heads", c_int64), ("head_dim", c_int64), ("block_kv", c_int64),
                ("num_blocks", c_int64), ("max_context_len", c_int64), ("query", c_void_p),
                ("kv_cache", c_void_p), ("weights", c_void_p), ("context_lens", c_void_p),
                ("block_table", c_void_p), ("schedule", c_void_p), ("logits", c_void_p),
                ("block_stride", c_int64), ("block_table_stride", c_int64),
                ("logits_stride", c_int64), ("num_workers", c_int64), ("logits_type", c_int32),
                ("clean_logits", c_int32), ("in_order", c_int32), ("reserved", c_int32)]


class PagedMqaLogitsMetadataArgs(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("batch", c_int64), ("next_n", c_int64),
                ("max_context_len", c_int64), ("num_workers", c_int64), ("context_lens", c_void_p),
                ("schedule", c_void_p), ("in_order", c_int32), ("reserved", c_int32)]


class TensorMapSpec(Growing):
    _fields_ = [("struct_bytes", c_size_t), ("address", c_void_p), ("sizes", c_uint64 * 5),
                ("strides", c_uint64 * 4), ("box", c_uint32 * 5), ("element_strides", c_uint32 * 5),
                ("rank", c_uint32), ("type", c_int32), ("swizzle", c_int32),
                ("l2_promotion", c_int32), ("out_of_bounds", c_int32), ("reserved", c_int32)]


class TensorMap(ctypes.Structure):
    """What the driver makes of a tensor's description; see make_tensor_map."""

    _fields_ = [("words", c_uint64 * 16)]


# The result and the parameters of every function. Pointers to structs are void*: byref() and
# ctypes.pointer() both pass, and nothing is checked twice.
FUNCTIONS = {
    "cubinet_c_abi_version": (c_uint32, []),
    "cubinet_version": (c_char_p, []),
    "cubinet_status_name": (c_char_p, [c_int32]),
    "cubinet_last_error": (c_char_p, []),
    "cubinet_last_error_log": (c_char_p, []),
    "cubinet_last_error_reproduction": (c_char_p, []),
    "cubinet_runtime_create": (c_int32, [c_void_p, c_void_p]),
    "cubinet_runtime_options_from_environment": (c_int32, [c_void_p]),
    "cubinet_runtime_shared": (c_int32, [c_void_p]),
    "cubinet_runtime_destroy": (None, [c_void_p]),
    "cubinet_stop_logs": (None, []),
    "cubinet_add_templates": (c_int32, [c_void_p, c_char_p]),
    "cubinet_runtime_stats": (c_int32, [c_void_p, c_void_p]),
    "cubinet_current_device": (c_int32, [c_void_p, c_void_p]),
    "cubinet_get_kernel": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_try_get_kernel": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_prefetch": (c_int32, [c_void_p, c_void_p]),
    "cubinet_prefetch_all": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "cubinet_warm_up_list": (c_int32, [c_void_p, c_void_p, c_size_t, ProgressFunction, c_void_p,
                                       c_void_p]),
    "cubinet_warm_up_recording": (c_int32, [c_void_p, c_char_p, ProgressFunction, c_void_p,
                                            c_void_p]),
    "cubinet_warm_up_wait": (c_int32, [c_void_p, c_int64, c_void_p]),
    "cubinet_warm_up_describe": (c_int32, [c_void_p, c_void_p]),
    "cubinet_warm_up_failure": (c_int32, [c_void_p, c_size_t, c_void_p]),
    "cubinet_warm_up_free": (None, [c_void_p]),
    "cubinet_precompile": (c_int32, [c_void_p, c_void_p, c_char_p, c_void_p]),
    "cubinet_kernel_describe": (c_int32, [c_void_p, c_void_p]),
    "cubinet_kernel_constant_at": (c_int32, [c_void_p, c_size_t, c_void_p]),
    "cubinet_kernel_constant": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "cubinet_kernel_launch": (c_int32, [c_void_p, c_void_p, c_void_p, c_size_t]),
    "cubinet_kernel_prepare": (c_int32, [c_void_p]),
    "cubinet_kernel_max_active_blocks": (c_int32, [c_void_p, c_int32, c_size_t, c_void_p]),
    "cubinet_make_tensor_map": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_fp8_attention": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_fp8_attention_workspace_bytes": (c_int32, [c_void_p, c_void_p, c_int64, c_void_p]),
    "cubinet_merge_attn_states": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_mla_prefill": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_mla_prefill_workspace_bytes": (c_int32, [c_void_p, c_size_t, c_void_p]),
    "cubinet_mla_prefill_with_context": (c_int32, [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p,
                                                   c_void_p]),
    "cubinet_mqa_logits": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_paged_mqa_logits": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "cubinet_paged_mqa_logits_metadata": (c_int32, [c_void_p, c_void_p, c_void_p]),
}


def _candidates() -> Iterator[str]:
    """Where the library is looked for, in this order."""
    named = os.environ.get("CUBINET_LIBRARY")
    if named:
        yield named  # and nothing else: who names one wants that one
        return
    package = Path(__file__).resolve().parent
    yield str(package / "libcubinet.so")
    checkout = package.parents[2] if len(package.parents) > 2 else package
    if (checkout / "include" / "jit" / "c.h").exists():
        for preset in ("release", "portable"):
            yield str(checkout / "build" / preset / "lib" / "libcubinet.so")
    yield "libcubinet.so.1"  # where the system's loader finds it


def _open() -> Tuple[ctypes.CDLL, str]:
    tried: List[str] = []
    for path in _candidates():
        if "/" in path and not os.path.exists(path):
            tried.append(f"{path}: no such file")
            continue
        try:
            return ctypes.CDLL(path), path
        except OSError as error:
            tried.append(str(error))
    raise ImportError(
        "load libcubinet.so: not found or not loadable; install the cubinet wheel, build the "
        "project (cmake --preset release && cmake --build --preset release), or name the library "
        "in CUBINET_LIBRARY. Tried:\n  " + "\n  ".join(tried))


def _load() -> Tuple[ctypes.CDLL, str]:
    library, path = _open()
    try:
        version = library.cubinet_c_abi_version
    except AttributeError:
        raise ImportError(f"load {path}: it has no C interface; it is older than this package, "
                          "or another library of that name") from None
    version.restype, version.argtypes = c_uint32, []
    if version() != C_ABI_VERSION:
        raise ImportError(
            f"load {path}: its C interface has version {version()}, this package needs "
            f"{C_ABI_VERSION}; install package and library of the same release")
    for name, (result, parameters) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"load {path}: it has no {name}; it is older than this package: "
                              "install both of the same release") from None
        function.restype, function.argtypes = result, parameters
    return library, path


C, LIBRARY_PATH = _load()
__version__ = C.cubinet_version().decode()
