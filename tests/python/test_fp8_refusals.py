"""FP8 attention through Python: what is refused, and in which words."""

import math
import unittest

from cubinet.kernels import fp8_attention
from support import InterfaceTensor, TestCase, TorchTensor, WithTorch
from test_fp8_attention import f32, fp8, i32, operands, paged_operands


class Refuses(TestCase):
    def says(self, kind, text, given=None, base=operands, **more):
        """A call with some operands in the place of others."""
        self.refused(kind, text, fp8_attention, **{**base(), **(given or {})}, **more)

    def test_shapes(self):
        self.says(ValueError, "expected q of shape [num_tokens, num_heads, head_dim], the tokens "
                  "of all sequences one after the other, got [3, 100, 16, 128]",
                  {"q": fp8(3, 100, 16, 128)})
        self.says(ValueError, "expected k of shape [num_keys, num_kv_heads, head_dim] with "
                  "head_dim 128, that of q, got [300, 16, 64]", {"k": fp8(300, 16, 64)})
        self.says(ValueError, "got [100, 64, 2, 128]; give page_table for pages",
                  {"k": fp8(100, 64, 2, 128)})
        self.says(ValueError, "expected v of shape [num_keys, num_kv_heads, head_dim_v] = [300, "
                  "16, head_dim_v], got [300, 8, 128]", {"v": fp8(300, 8, 128)})
        self.says(ValueError, "expected k with one head at least, got shape [300, 0, 128]",
                  {"k": fp8(300, 0, 128), "v": fp8(300, 0, 128)})
        self.says(ValueError, "expected cu_seqlens_q of shape [num_sequences + 1], got [0]",
                  {"cu_seqlens_q": i32(0)})
        self.says(ValueError, "expected cu_seqlens_k of shape [num_sequences + 1] = [4], got [5]",
                  cu_seqlens_k=i32(5))
        self.says(ValueError, "expected as many keys as tokens (300), since neither cu_seqlens_k "
                  "nor page_table is given, got 200; give one of them",
                  {"k": fp8(200, 16, 128), "v": fp8(200, 16, 128)})
        for name in ("seqused_q", "seqused_k"):
            self.says(ValueError, f"expected {name} of shape [num_sequences] = [3], got [4]",
                      **{name: i32(4)})
        self.says(ValueError, "expected out of shape [num_tokens, num_heads, head_dim_v] = [300, "
                  "16, 128] or [300, 2048], got [300, 16, 64]", {"out": InterfaceTensor(300, 16, 64)})
        self.says(ValueError, "expected lse of shape [num_heads, num_tokens] = [16, 300], got "
                  "[300, 16]", lse=f32(300, 16))
        self.says(ValueError, "expected work_counters of shape [2] = [2], got [1]",
                  work_counters=i32(1))
        self.says(ValueError, "expected sinks of shape [num_heads] = [16], got [4]",
                  sinks=InterfaceTensor(4))
        self.says(ValueError, "expected output_scale with one element, got shape [2]",
                  {"out": fp8(300, 16, 128)}, output_scale=f32(2))
        self.says(ValueError, "num_heads is 16; expected a multiple of num_kv_heads (5)",
                  {"k": fp8(300, 5, 128), "v": fp8(300, 5, 128)})
        self.says(ValueError, "head_dim is 80", base=lambda: operands(d=80))

    def test_descales(self):
        grouped = lambda: operands(g=4)  # noqa: E731
        for shape in ((3,), (4, 3), (2, 4), (3, 4, 1), (0,)):
            self.says(ValueError, "expected k_descale of shape [num_sequences, num_kv_heads] = [3, "
                      f"4], or 1 for either, [num_kv_heads] or [1], got {list(shape)}",
                      base=grouped, k_descale=f32(*shape))
        self.says(TypeError, "expected q_descale of dtype float32, got bfloat16",
                  q_descale=InterfaceTensor(1))
        self.says(TypeError, "expected v_descale to be a CUDA tensor", v_descale=0.5)

    def test_pages(self):
        def says(text, given=None, **more):
            self.says(ValueError, text, given, base=paged_operands, **more)

        says("cu_seqlens_k and page_table are both given; give seqused_k", cu_seqlens_k=i32(6))
        says("expected seqused_k, the lengths of the sequences' keys, because page_table is given",
             {"seqused_k": None})
        says("expected page_table of shape [num_sequences, max_pages] = [5, max_pages], got [4, 32]",
             {"page_table": i32(4, 32)})
        says("expected page_table with one page at least, got [5, 0]", {"page_table": i32(5, 0)})
        says("expected page_table whose rows are contiguous and apart",
             {"page_table": i32(5, 32, strides=(1, 5))})
        says("expected k of shape [num_pages, page_size, num_kv_heads, head_dim] with head_dim 128, "
             "that of q, got [100, 2, 128]", {"k": fp8(100, 2, 128)})
        says("expected v of shape [num_pages, page_size, num_kv_heads, head_dim_v] = [100, 64, 2, "
             "head_dim_v], got [100, 32, 2, 128]", {"v": fp8(100, 32, 2, 128)})
        says("expected k with memory for every page", {"k": fp8(100, 64, 2, 128,
                                                               strides=(0, 256, 128, 1))})
        says("expected v with memory for every head", {"v": fp8(100, 64, 2, 128,
                                                               strides=(16384, 128, 0, 1))})

    def test_dtypes(self):
        for name in ("q", "k", "v"):
            self.says(TypeError, f"expected {name} of dtype float8_e4m3fn or uint8, got bfloat16",
                      {name: InterfaceTensor(300, 16, 128)})
        self.says(TypeError, "expected cu_seqlens_q of dtype int32, got float32",
                  {"cu_seqlens_q": f32(4)})
        self.says(TypeError, "expected sinks of dtype bfloat16, got float32", sinks=f32(16))
        self.says(TypeError, "expected page_table of dtype int32, got float32",
                  {"page_table": f32(5, 32)}, base=paged_operands)
        self.says(TypeError, "expected out of dtype bfloat16, got float16",
                  {"out": InterfaceTensor(300, 16, 128, dtype="float16")})
        self.says(TypeError, "expected out of dtype bfloat16, got float8_e4m3fn; give output_scale "
                  "for FP8 output", {"out": fp8(300, 16, 128)})
        self.says(TypeError, "expected out of dtype float8_e4m3fn (or uint8, its bits) because "
                  "scales are given, got bfloat16", output_scale=f32(1))
        self.says(TypeError, "expected v to be a CUDA tensor", {"v": None})

    def test_memory(self):
        self.says(ValueError, "expected q whose heads are contiguous",
                  {"q": fp8(300, 16, 128, strides=(2048, 1, 16))})
        self.says(ValueError, "expected k with memory for every head, got strides [128, 0, 1] (of "
                  "an expanded tensor?)", {"k": fp8(300, 16, 128, strides=(128, 0, 1))})
        self.says(ValueError, "v_head_stride is 136; expected",
                  {"v": fp8(300, 16, 128, strides=(16 * 136, 136, 1))})
        tensors = operands()
        tensors["out"].address = tensors["q"].address
        self.refused(ValueError, "overlaps q", fp8_attention, **tensors)
        self.says(ValueError, "expected out to be writable",
                  {"out": InterfaceTensor(300, 16, 128, readonly=True)})
        self.says(ValueError, "k is at 0x1008; expected", {"k": fp8(300, 16, 128, address=0x1008)})
        self.says(ValueError, "on the same device", lse=f32(16, 300, device=1))

    def test_numbers(self):
        for name in ("softmax_scale", "softcap"):
            for scale in (-1.0, math.nan, math.inf, 1e-60, 1e39):
                self.says(ValueError, f"expected {name} to be above 0 and a float32, got",
                          **{name: scale})
            self.says(TypeError, f"expected {name} to be a float, got", **{name: "0.1"})
        self.says(ValueError, "expected softmax_scale to be above 0", softmax_scale=0.0)
        for window in (5, (1,), (1, 2, 3), "12"):
            self.says(TypeError, "expected window_size to be (left, right), got",
                      window_size=window)
        self.says(ValueError, "each at least 0, or -1 for unbounded, got (-2, 0)",
                  window_size=(-2, 0))
        self.says(TypeError, "expected window_size to be an int", window_size=(1.0, 0))
        self.says(ValueError, "accum_interval is -1; expected 0 to", accum_interval=-1)
        self.says(ValueError, "pack_gqa is 3", pack_gqa=3)
        self.says(ValueError, "num_splits is -1", num_splits=-1)
        self.says(ValueError, "num_splits is 2 beside invariant", num_splits=2, invariant=True)
        for name in ("max_seqlen_q", "max_seqlen_k", "num_workers", "num_splits", "pack_gqa"):
            self.says(TypeError, f"expected {name} to be an int, got float", **{name: 1.0})

    def test_what_was_right_once_is_checked_where_it_may_differ(self):
        # The same tensor under another name.
        fp8_attention(**operands(n=300, m=200, s=1), cu_seqlens_k=i32(2), num_splits=1)
        self.refused(ValueError, "give one of them", fp8_attention, **operands(n=300, m=200, s=1),
                     work_counters=i32(2), num_splits=1)

    def test_gradients(self):
        with WithTorch():
            tensors = operands(TorchTensor)
            tensors["v"].grad = True
            self.refused(ValueError, "fp8_attention has no gradient, but v requires one",
                         fp8_attention, **tensors)


if __name__ == "__main__":
    unittest.main()
