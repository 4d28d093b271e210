"""Prefill attention on tensors of every library: what is handed on, what is refused and how."""

import ctypes
import math
import unittest

import cubinet
from cubinet import _mla_prefill, _operands
from cubinet.kernels import mla_prefill
from support import (CupyArray, DlpackTensor, InterfaceTensor, TestCase, TorchTensor, WithCupy,
                     WithTorch, driver)

WORDS = ctypes.c_uint64 * 16


class Params(ctypes.Structure):
    """kernel_templates/mla_prefill/params.h."""

    _fields_ = [(name, WORDS) for name in ("q", "k", "v", "k_rope")] + [
        (name, ctypes.c_uint64) for name in (
            "cu_seqlens_q", "cu_seqlens_k", "out", "lse", "output_scale", "group_scales",
            "work_counters", "out_token_stride", "out_head_stride", "lse_head_stride",
            "scale_token_stride", "scale_group_stride")] + [
                ("softmax_scale_log2", ctypes.c_float)] + [
                    (name, ctypes.c_int32) for name in (
                        "num_sequences", "num_heads", "heads_per_kv")]


def launched():
    return Params.from_buffer_copy(bytes(driver.last().params))


def heads(words):
    """(address, tokens, token stride, head stride) of a tensor map of heads."""
    return words[0], words[2], words[6] // 2, words[8] // 2


def operands(kind=InterfaceTensor, n=300, m=None, h=16, g=None, d=192, e=128, s=3, rope=False,
             out="bfloat16", **more):
    """The operands that every call needs, by name."""
    m, g = n if m is None else m, g or h
    tensors = {"q": kind(n, h, d, **more), "k": kind(m, g, d - 64 if rope else d, **more),
               "v": kind(m, g, e, **more), "cu_seqlens_q": kind(s + 1, dtype="int32", **more),
               "out": kind(n, h, e, dtype=out, **more)}
    if rope:
        tensors["k_rope"] = kind(m, 64, **more)
    return tensors


def f32(*shape, kind=InterfaceTensor, **more):
    return kind(*shape, dtype="float32", **more)


def i32(*shape, kind=InterfaceTensor, **more):
    return kind(*shape, dtype="int32", **more)


class HandsOn(TestCase):
    def attends(self, tensors, **more):
        before = driver.launches()
        mla_prefill(**tensors, **more)
        self.assertEqual(driver.launches(), before + 1)
        return launched()

    def test_every_kind_of_tensor(self):
        def attends(kind):
            tensors = operands(kind)
            params = self.attends(tensors)
            self.assertEqual((params.q[0], params.k[0], params.v[0], params.cu_seqlens_q,
                              params.out),
                             tuple([tensor.address for tensor in tensors.values()]))
            self.assertEqual((params.cu_seqlens_k, params.lse, params.output_scale,
                              params.group_scales, params.work_counters),
                             (tensors["cu_seqlens_q"].address, 0, 0, 0, 0))
            self.assertEqual((params.num_sequences, params.num_heads, params.heads_per_kv),
                             (3, 16, 1))
            self.assertAlmostEqual(params.softmax_scale_log2, 192**-0.5 / math.log(2), places=6)
            self.assertEqual(driver.last().programmatic, 1)
            return tensors

        attends(InterfaceTensor)
        for tensor in attends(DlpackTensor).values():
            self.assertEqual(tensor.deleted, 1)
        with WithTorch() as torch:
            attends(TorchTensor)
            self.assertEqual(driver.last().stream, torch.streams[0])
        with WithCupy():
            attends(CupyArray)
            self.assertEqual(driver.last().stream, 0xC0)

    def test_optional_operands(self):
        tensors = operands(n=300, m=500, out="float8_e4m3fn", rope=True)
        more = {"cu_seqlens_k": i32(4), "lse": f32(16, 300), "output_scale": f32(1),
                "work_counters": i32(2)}
        params = self.attends(tensors, **more, num_workers=20, softmax_scale=0.25, stream=64,
                              programmatic_dependent=False)
        self.assertEqual((params.cu_seqlens_k, params.lse, params.output_scale,
                          params.work_counters, params.k_rope[0]),
                         (*[tensor.address for tensor in more.values()],
                          tensors["k_rope"].address))
        self.assertEqual((heads(params.k)[1:], heads(params.v)[1:]),
                         ((500, 16 * 128, 128), (500, 16 * 128, 128)))
        self.assertAlmostEqual(params.softmax_scale_log2, 0.25 / math.log(2), places=6)
        launch = driver.last()
        self.assertEqual((launch.grid[0], launch.stream, launch.programmatic), (20, 64, 0))
        tensors["out"] = InterfaceTensor(300, 16, 128, dtype="uint8")
        tensors["k_rope"] = InterfaceTensor(500, 1, 64, strides=(576, 64, 1))
        more["output_scale"] = f32()
        params = self.attends(tensors, **more, programmatic_dependent=False)
        self.assertEqual((params.k_rope[2], params.k_rope[6]), (500, 1152))

    def test_slices(self):
        tensors = operands(g=4)
        tensors["q"] = InterfaceTensor(300, 16, 192, strides=(4000, 208, 1))
        tensors["k"] = InterfaceTensor(300, 4, 192, strides=(1024, 256, 1))
        tensors["v"] = InterfaceTensor(300, 4, 128, strides=(4 * 320, 320, 1))
        for shape, strides, expected in (((300, 16, 128), (4096, 136, 1), (4096, 136)),
                                         ((300, 16 * 128), None, (2048, 128)),
                                         ((300, 16 * 128), (2560, 1), (2560, 128))):
            tensors["out"] = InterfaceTensor(*shape, strides=strides)
            params = self.attends(tensors)
            self.assertEqual((params.out_token_stride, params.out_head_stride), expected)
        self.assertEqual([heads(words)[1:] for words in (params.q, params.k, params.v)],
                         [(300, 4000, 208), (300, 1024, 256), (300, 1280, 320)])
        self.assertEqual((params.num_heads, params.heads_per_kv), (16, 4))

    def test_strides_of_extents_of_one_say_nothing(self):
        tensors = operands(n=1, h=1, s=1)
        for name, size in (("q", 192), ("k", 192), ("v", 128), ("out", 128)):
            tensors[name] = InterfaceTensor(1, 1, size, strides=(3, 0, 1))
        params = self.attends(tensors)
        self.assertEqual((heads(params.q)[2:], params.out_token_stride, params.out_head_stride),
                         ((192, 192), 128, 128))

    def test_scales_of_groups(self):
        tensors = operands(out="float8_e4m3fn")
        for shape, strides, expected in (((300, 16), None, (16, 1)),
                                         ((300, 16), (1, 304), (1, 304)),
                                         ((300, 32), None, (32, 1))):
            scales = f32(*shape, strides=strides)
            params = self.attends(tensors, output_group_scales=scales,
                                  use_ue8m0_scales=shape == (300, 32))
            self.assertEqual((params.group_scales, params.scale_token_stride,
                              params.scale_group_stride), (scales.address, *expected))

    def test_what_the_kernel_is_chosen_by(self):
        rows = {"num_query_rows": 4800}
        groups = {"output_group_scales": f32(300, 32), "use_ue8m0_scales": True}
        for tensors, more, constants in (
                (operands(d=128, rope=True, out="float16"),
                 {"causal": False, "programmatic_dependent": False},
                 {"kHeadDim": 128, "kRopeDim": 64, "OUTPUT_TYPE": "f16", "CAUSAL": False,
                  "PROGRAMMATIC_DEPENDENT_LAUNCH": False}),
                (operands(d=64, e=64, out="float32"), {},
                 {"kHeadDim": 64, "kHeadDimV": 64, "OUTPUT_TYPE": "f32"}),
                (operands(out="uint8"), groups, {"USE_FP8_OUTPUT": True, "FP8_GROUP_SIZE": 64,
                                                 "USE_UE8M0_SCALES": True})):
            self.attends(tensors, **more)
            info = cubinet.get_kernel("mla_prefill", constants, rows).info
            self.assertEqual(driver.last().symbol.decode(), info.symbol, constants)

    def test_nothing_to_do_launches_nothing(self):
        before = driver.launches()
        for kind in (InterfaceTensor, DlpackTensor):
            mla_prefill(**operands(kind, n=0))
            mla_prefill(**operands(kind, s=0))
        mla_prefill(**operands(h=0))
        self.assertEqual(driver.launches(), before)
        tensors = operands(m=0)
        tensors["k"].address = tensors["v"].address = 0
        self.attends(tensors, cu_seqlens_k=i32(4))

    def test_plans_are_bounded(self):
        for tokens in range(1, _operands.MAX_PLANS + 10):
            mla_prefill(**operands(n=tokens))
        self.assertLessEqual(len(_mla_prefill._plans), _operands.MAX_PLANS)


class Refuses(TestCase):
    def says(self, kind, text, given=None, **more):
        """A call with some operands in the place of others."""
        self.refused(kind, text, mla_prefill, **{**operands(), **(given or {})}, **more)

    def test_shapes(self):
        tensor = InterfaceTensor
        self.says(ValueError, "expected q of shape [num_tokens, num_heads, head_dim], got [300, "
                  "3072]", {"q": tensor(300, 3072)})
        self.says(ValueError, "expected k of shape [num_keys, num_kv_heads, head_dim] = [num_keys, "
                  "num_kv_heads, 192], got [300, 16, 128]", {"k": tensor(300, 16, 128)})
        self.says(ValueError, "head_dim - 64] = [num_keys, num_kv_heads, 128], got [300, 16, 192]",
                  k_rope=tensor(300, 64))
        self.says(ValueError, "expected v of shape [num_keys, num_kv_heads, head_dim_v] = [300, "
                  "16, head_dim_v], got [300, 8, 128]", {"v": tensor(300, 8, 128)})
        self.says(ValueError, "expected k with one head at least, got shape [300, 0, 192]",
                  {"k": tensor(300, 0, 192), "v": tensor(300, 0, 128)})
        self.says(ValueError, "expected k_rope of shape [num_keys, 64] = [300, 64], also with a "
                  "dimension of 1 between, got [300, 2, 64]",
                  {"k": tensor(300, 16, 128), "k_rope": tensor(300, 2, 64)})
        self.says(ValueError, "expected cu_seqlens_q of shape [num_sequences + 1], got [0]",
                  {"cu_seqlens_q": i32(0)})
        self.says(ValueError, "expected cu_seqlens_k of shape [num_sequences + 1] = [4], got [5]",
                  cu_seqlens_k=i32(5))
        self.says(ValueError, "expected as many keys as tokens (300), since cu_seqlens_k is not "
                  "given, got 200; give cu_seqlens_k",
                  {"k": tensor(200, 16, 192), "v": tensor(200, 16, 128)})
        self.says(ValueError, "expected out of shape [num_tokens, num_heads, head_dim_v] = [300, "
                  "16, 128] or [300, 2048], got [300, 16, 192]", {"out": tensor(300, 16, 192)})
        self.says(ValueError, "expected lse of shape [num_heads, num_tokens] = [16, 300], got "
                  "[300, 16]", lse=f32(300, 16))
        self.says(ValueError, "expected work_counters of shape [2] = [2], got [1]",
                  work_counters=i32(1))
        self.says(ValueError, "num_heads is 16; expected a multiple of num_kv_heads (5)",
                  {"k": tensor(300, 5, 192), "v": tensor(300, 5, 128)})
        self.says(ValueError, "head_dim is 128",
                  {"q": tensor(300, 16, 128), "k": tensor(300, 16, 128),
                   "v": tensor(300, 16, 64), "out": tensor(300, 16, 64)})

    def test_dtypes(self):
        tensor = InterfaceTensor
        for name in ("q", "k", "v"):
            wrong = tensor(*operands()[name].shape, dtype="float16")
            self.says(TypeError, f"expected {name} of dtype bfloat16, got float16", {name: wrong})
        self.says(TypeError, "expected cu_seqlens_q of dtype int32, got float32",
                  {"cu_seqlens_q": f32(4)})
        self.says(TypeError, "expected work_counters of dtype int32, got uint8",
                  work_counters=tensor(2, dtype="uint8"))
        self.says(TypeError, "expected lse of dtype float32, got bfloat16", lse=tensor(16, 300))
        self.says(TypeError, "expected k_rope of dtype bfloat16, got uint8",
                  {"k": tensor(300, 16, 128)}, k_rope=tensor(300, 64, dtype="uint8"))
        fp8 = tensor(300, 16, 128, dtype="float8_e4m3fn")
        self.says(TypeError, "expected out of dtype bfloat16, float16 or float32, got "
                  "float8_e4m3fn; give output_scale for FP8 output", {"out": fp8})
        self.says(TypeError, "expected out of dtype float8_e4m3fn (or uint8, its bits) because "
                  "scales are given, got bfloat16", output_scale=f32(1))
        self.says(TypeError, "expected output_scale of dtype float32, got bfloat16", {"out": fp8},
                  output_scale=tensor(1))
        self.says(TypeError, "expected v to be a CUDA tensor", {"v": None})
        self.says(TypeError, "expected out to be a CUDA tensor", {"out": None})

    def test_scales(self):
        fp8 = {"out": InterfaceTensor(300, 16, 128, dtype="uint8")}
        self.says(ValueError, "both given", fp8, output_scale=f32(1),
                  output_group_scales=f32(300, 16))
        self.says(ValueError, "groups of 64 or 128 for 300 tokens, 16 heads and head size 128, got "
                  "[300, 8]", fp8, output_group_scales=f32(300, 8))
        self.says(ValueError, "use_ue8m0_scales is for scales of groups", fp8,
                  output_scale=f32(1), use_ue8m0_scales=True)

    def test_strides(self):
        self.says(ValueError, ["expected q whose heads are contiguous, got strides [3072, 1, 16]",
                               "pass q.contiguous()"],
                  {"q": InterfaceTensor(300, 16, 192, strides=(3072, 1, 16))})
        # As k_pe.expand(-1, 16, -1): 0 is no stride that the library could be told.
        self.says(ValueError, "expected k with memory for every head, got strides [192, 0, 1] (of "
                  "an expanded tensor?)",
                  {"k": InterfaceTensor(300, 16, 192, strides=(192, 0, 1))})
        self.says(ValueError, "expected out with memory for every head",
                  {"out": InterfaceTensor(300, 2048, strides=(0, 1))})
        self.says(ValueError, "expected k_rope with memory for every head",
                  {"k": InterfaceTensor(300, 16, 128)},
                  k_rope=InterfaceTensor(300, 64, strides=(0, 1)))
        self.says(ValueError, "v_head_stride is 132; expected",
                  {"v": InterfaceTensor(300, 16, 128, strides=(16 * 132, 132, 1))})
        self.says(ValueError, "expected cu_seqlens_q to be contiguous",
                  {"cu_seqlens_q": i32(4, strides=(2,))})
        self.says(ValueError, "expected lse to be contiguous",
                  lse=f32(16, 300, strides=(304, 1)))

    def test_memory(self):
        tensors = operands()
        tensors["out"].address = tensors["q"].address
        self.refused(ValueError, "overlaps q", mla_prefill, **tensors)
        self.says(ValueError, "expected out to be writable",
                  {"out": InterfaceTensor(300, 16, 128, readonly=True)})
        self.says(ValueError, "expected work_counters to be writable",
                  work_counters=i32(2, readonly=True))
        self.says(ValueError, "k is at 0x1008; expected",
                  {"k": InterfaceTensor(300, 16, 192, address=0x1008)})
        self.says(ValueError, "on the same device", lse=f32(16, 300, device=1))

    def test_numbers(self):
        for scale in (0, 0.0, -1.0, math.nan, math.inf, 1e-60, 1e39):
            self.says(ValueError, "expected softmax_scale to be above 0 and a float32, got",
                      softmax_scale=scale)
        there = DlpackTensor(1)  # on the device
        there.__class__ = type("Number", (DlpackTensor,), {"__float__": lambda self: 0.1})
        for scale in (True, "0.1", there):
            self.says(TypeError, "expected softmax_scale to be a float, got", softmax_scale=scale)
        self.says(ValueError, "num_workers is -1; expected", num_workers=-1)
        self.says(TypeError, "expected num_workers to be an int, got float", num_workers=1.0)

    def test_what_was_right_once_is_checked_where_it_may_differ(self):
        fp8 = {"out": InterfaceTensor(300, 16, 128, dtype="uint8"), "output_scale": f32(1)}
        mla_prefill(**{**operands(), **fp8})
        self.says(ValueError, "use_ue8m0_scales is for", fp8, use_ue8m0_scales=True)
        # The same tensor under another name.
        mla_prefill(**operands(n=300, m=200, s=1), cu_seqlens_k=i32(2))
        self.refused(ValueError, "give cu_seqlens_k", mla_prefill, **operands(n=300, m=200, s=1),
                     work_counters=i32(2))

    def test_gradients(self):
        with WithTorch():
            tensors = operands(TorchTensor)
            tensors["v"].grad = True
            self.refused(ValueError, "mla_prefill has no gradient, but v requires one", mla_prefill,
                         **tensors)


if __name__ == "__main__":
    unittest.main()
