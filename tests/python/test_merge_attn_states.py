"""The merge on tensors of every library: what is handed on, and what is refused in which words."""

import os
import types
import unittest

import cubinet
from cubinet.kernels import merge_attn_states
from support import (CupyArray, DlpackTensor, InterfaceTensor, Params, TestCase, TorchTensor,
                     WithCupy, WithTorch, driver, merge_operands)


def launched():
    return Params.from_buffer_copy(bytes(driver.last().params))


class HandsOn(TestCase):
    def merges(self, kind, dtype, **more):
        tensors = merge_operands(kind, dtype=dtype)
        before = driver.launches()
        merge_attn_states(*tensors, **more)
        self.assertEqual(driver.launches(), before + 1)
        params = launched()
        self.assertEqual(
            (params.output, params.prefix_output, params.prefix_lse, params.suffix_output,
             params.suffix_lse), tuple(tensor.address for tensor in tensors))
        return tensors

    def test_every_kind_of_tensor_and_every_dtype(self):
        for dtype in ("float32", "float16", "bfloat16"):
            self.merges(InterfaceTensor, dtype)
            for tensor in self.merges(DlpackTensor, dtype):
                self.assertEqual(tensor.deleted, 1)
            with WithTorch():
                self.merges(TorchTensor, dtype)

    def test_optional_operands_in_vllms_order(self):
        for kind, fp8 in ((InterfaceTensor, "uint8"), (DlpackTensor, "float8_e4m3fn"),
                          (InterfaceTensor, "float8_e4m3fn")):
            tensors = merge_operands(kind, output=fp8)
            lse, scale = kind(3, 5, dtype="float32"), kind(1, dtype="float32")
            merge_attn_states(*tensors, lse, 2, scale)
            params = launched()
            self.assertEqual((params.output_lse, params.output_scale), (lse.address, scale.address))
            self.assertEqual((params.num_tokens, params.num_heads, params.num_context_tokens),
                             (5, 3, 2))
            merge_attn_states(*tensors, output_scale=kind(dtype="float32"))  # of shape []
            self.assertEqual(launched().output_lse, 0)

    def test_scales_of_groups(self):
        tensors = merge_operands(output="float8_e4m3fn")
        for shape, strides, expected in (((5, 6), None, (6, 1)), ((5, 6), (1, 8), (1, 8)),
                                         ((5, 3), None, (3, 1))):
            scales = InterfaceTensor(*shape, dtype="float32", strides=strides)
            merge_attn_states(*tensors, output_group_scales=scales, use_ue8m0_scales=True)
            self.assertEqual((launched().output_group_scales, launched().scale_token_stride,
                              launched().scale_group_stride), (scales.address, *expected))
        self.refused(ValueError, "both given", merge_attn_states, *tensors,
                     output_scale=InterfaceTensor(1, dtype="float32"), output_group_scales=scales)
        self.refused(ValueError, "groups of 64 or 128", merge_attn_states, *tensors,
                     output_group_scales=InterfaceTensor(5, 12, dtype="float32"))
        self.refused(TypeError, "output_group_scales of dtype float32", merge_attn_states, *tensors,
                     output_group_scales=InterfaceTensor(5, 6, dtype="float16"))

    def test_padded_heads(self):
        wide = (3 * 192, 192, 1)
        output, prefix, prefix_lse, suffix, suffix_lse = merge_operands()
        prefix, suffix = (InterfaceTensor(5, 3, 128, dtype="float16", strides=wide)
                          for _ in range(2))
        merge_attn_states(output, prefix, prefix_lse, suffix, suffix_lse)
        params = launched()
        self.assertEqual((params.input_head_stride, params.output_head_stride), (192, 128))
        self.assertEqual(params.num_context_tokens, 5)

    def test_extents_of_one_have_any_stride(self):
        strange = {"strides": (7, 9, 1)}
        merge_attn_states(*merge_operands(n=1, h=1, d=128)[:1],
                          InterfaceTensor(1, 1, 128, dtype="float16", **strange),
                          InterfaceTensor(1, 1, dtype="float32", strides=(5, 5)),
                          InterfaceTensor(1, 1, 128, dtype="float16"),
                          InterfaceTensor(1, 1, dtype="float32"))

    def test_no_tokens_launch_nothing(self):
        before = driver.launches()
        for kind in (InterfaceTensor, DlpackTensor):
            merge_attn_states(*merge_operands(kind, n=0))
        merge_attn_states(*merge_operands(h=0))
        self.assertEqual(driver.launches(), before)

    def test_a_runtime_of_ones_own(self):
        with cubinet.Runtime(memory_only=True, driver=driver.path,
                             nvrtc=os.environ.get("CUBINET_NVRTC")) as runtime:
            merge_attn_states(*merge_operands(), runtime=runtime)
            self.assertEqual(runtime.stats().compiles, 1)


class Refuses(TestCase):
    def says(self, kind, text, at, tensor, **more):
        tensors = merge_operands()
        tensors[at] = tensor
        self.refused(kind, text, merge_attn_states, *tensors, **more)

    def test_shapes(self):
        half = {"dtype": "float16"}
        self.says(ValueError, "expected prefix_output of shape [num_tokens, num_heads, head_size], "
                  "got [5, 384]", 1, InterfaceTensor(5, 384, **half))
        self.says(ValueError, "expected suffix_output of shape [5, 3, 128] (that of prefix_output), "
                  "got [5, 3, 64]", 3, InterfaceTensor(5, 3, 64, **half))
        self.says(ValueError, "expected output of shape [5, 3, 128]", 0,
                  InterfaceTensor(4, 3, 128, **half))
        self.says(ValueError, "expected prefix_lse of shape [num_heads, num_tokens] = [3, 5], got "
                  "[5, 3]", 2, InterfaceTensor(5, 3, dtype="float32"))
        self.says(ValueError, "output_lse of shape", 4, merge_operands()[4],
                  output_lse=InterfaceTensor(3, 6, dtype="float32"))
        self.refused(ValueError, "head_size is 12", merge_attn_states, *merge_operands(d=12))

    def test_dtypes(self):
        self.says(TypeError, "expected suffix_output of dtype float16 (that of prefix_output), got "
                  "bfloat16", 3, InterfaceTensor(5, 3, 128))
        self.says(TypeError, "expected prefix_output of dtype float32, float16 or bfloat16, got "
                  "uint8", 1, InterfaceTensor(5, 3, 128, dtype="uint8"))
        self.says(TypeError, "expected prefix_lse of dtype float32, got float16", 2,
                  InterfaceTensor(3, 5, dtype="float16"))
        self.says(TypeError, "expected suffix_lse of dtype", 4,
                  InterfaceTensor(3, 5, dtype="float64"))
        self.says(TypeError, "give output_scale for FP8 output", 0,
                  InterfaceTensor(5, 3, 128, dtype="float8_e4m3fn"))
        scale = InterfaceTensor(1, dtype="float32")
        self.says(TypeError, "because scales are given, got float16", 1, merge_operands()[1],
                  output_scale=scale)
        tensors = merge_operands(output="uint8")
        self.refused(TypeError, "output_scale of dtype float32", merge_attn_states, *tensors,
                     output_scale=InterfaceTensor(1, dtype="float16"))
        self.refused(ValueError, "output_scale with one element, got shape [3]", merge_attn_states,
                     *tensors, output_scale=InterfaceTensor(3, dtype="float32"))

    def test_strides(self):
        half = {"dtype": "float16"}
        transposed = InterfaceTensor(5, 3, 128, strides=(128, 5 * 128, 1), **half)
        self.says(ValueError, ["expected output with strides [num_heads * s, s, 1]",
                               "pass output.contiguous()"], 0, transposed)
        self.says(ValueError, "expected prefix_output and suffix_output with the same head stride, "
                  "got 128 and 192", 3, InterfaceTensor(5, 3, 128, strides=(576, 192, 1), **half))
        self.says(ValueError, "expected prefix_output with strides", 1,
                  InterfaceTensor(5, 3, 128, strides=(0, 0, 1), **half))  # expanded
        self.says(ValueError, "expected prefix_output with strides", 1,
                  InterfaceTensor(5, 3, 128, strides=(768, 256, 2), **half))
        self.says(ValueError, "expected suffix_lse to be contiguous, got strides [1, 3]", 4,
                  InterfaceTensor(3, 5, dtype="float32", strides=(1, 3)))

    def test_what_was_right_once_is_checked_where_it_may_differ(self):
        tensors = merge_operands()
        merge_attn_states(*tensors, prefill_tokens_with_context=1)
        self.refused(TypeError, "got bool", merge_attn_states, *tensors,
                     prefill_tokens_with_context=True)
        self.refused(ValueError, "got 6", merge_attn_states, *tensors,
                     prefill_tokens_with_context=6)
        other = merge_operands()
        other[0].address = other[3].address
        self.refused(ValueError, "memory with suffix_output", merge_attn_states, *other)
        other = merge_operands()
        other[2].ordinal = 1
        self.refused(ValueError, "on the same device", merge_attn_states, *other)

    def test_plans_are_bounded(self):
        from cubinet import _operands, kernels
        for tokens in range(1, _operands.MAX_PLANS + 10):
            merge_attn_states(*merge_operands(n=tokens))
        self.assertLessEqual(len(kernels._plans), _operands.MAX_PLANS)

    def test_scales_without_memory_of_their_own(self):
        tensors = merge_operands(output="uint8")
        for strides in ((0, 0), (6, 0), (0, 1)):
            self.refused(ValueError, "memory for every scale", merge_attn_states, *tensors,
                         output_group_scales=InterfaceTensor(5, 6, dtype="float32",
                                                             strides=strides))
        self.refused(ValueError, "give output_group_scales too", merge_attn_states,
                     *merge_operands(), use_ue8m0_scales=True)

    def test_memory(self):
        tensors = merge_operands()
        shared = InterfaceTensor(5, 3, 128, dtype="float16", address=tensors[1].address + 16)
        self.refused(ValueError, "expected output not to overlap another tensor, but it shares "
                     "memory with prefix_output", merge_attn_states, shared, *tensors[1:])
        lse = InterfaceTensor(3, 5, dtype="float32", address=tensors[4].address)
        self.refused(ValueError, "expected output_lse not to overlap", merge_attn_states, *tensors,
                     lse)
        self.says(ValueError, "expected output to be writable", 0,
                  InterfaceTensor(5, 3, 128, dtype="float16", readonly=True))
        self.says(ValueError, "prefix_lse is at 0x", 2,
                  InterfaceTensor(3, 5, dtype="float32", address=0x1002))
        # The end of one is the beginning of the next.
        near = InterfaceTensor(5, 3, 128, dtype="float16",
                               address=tensors[1].address + 5 * 3 * 128 * 2)
        merge_attn_states(near, *tensors[1:])

    def test_what_is_no_tensor(self):
        self.says(TypeError, "expected suffix_lse to be a CUDA tensor (torch, CuPy, or anything "
                  "with __cuda_array_interface__ or __dlpack__), got list", 4, [1.0])
        self.says(TypeError, "got NoneType", 1, None)

    def test_counts(self):
        call = lambda count: merge_attn_states(  # noqa: E731
            *merge_operands(), prefill_tokens_with_context=count)
        self.refused(ValueError, "from 0 to num_tokens (5), got 6", call, 6)
        self.refused(ValueError, "got -1", call, -1)
        self.refused(TypeError, "to be an int, got float", call, 2.0)
        self.refused(TypeError, "to be an int, got DlpackTensor", call, DlpackTensor(1))
        for count in (0, 5, None):
            call(count)

    def test_devices(self):
        self.says(ValueError, "on the same device, but output is on cuda:0 and prefix_lse on "
                  "cuda:1", 2, InterfaceTensor(3, 5, dtype="float32", device=1))
        tensors = merge_operands(device=1)
        self.refused(ValueError, "the tensors are on cuda:1, but the current device is cuda:0",
                     merge_attn_states, *tensors)
        driver.use(1)
        merge_attn_states(*tensors)
        self.assertEqual(driver.last().device, 1)
        self.says(ValueError, "expected prefix_output on a CUDA device, got a tensor on cpu", 1,
                  DlpackTensor(5, 3, 128, dtype="float16", device_type=1))


class Cupy(TestCase):
    def test_the_current_stream_is_the_one_of_the_tensors_device(self):
        with WithCupy():
            for device in (0, 1):
                merge_attn_states(*merge_operands(CupyArray, device=device))
                self.assertEqual((driver.last().stream, driver.last().device),
                                 (0xC0 + device, device))


class Dlpack(TestCase):
    def test_a_capsule_is_used_once_and_given_back(self):
        tensors = merge_operands(DlpackTensor)
        merge_attn_states(*tensors, stream=0x99)
        for tensor in tensors:
            self.assertEqual((tensor.deleted, tensor.streams), (1, [0x99]))
            self.assertIn("used_dltensor", repr(tensor.capsules[0]))

    def test_it_is_held_until_the_launch(self):
        seen = []

        class Lender(DlpackTensor):
            def __setattr__(self, name, value):
                if name == "deleted" and value:
                    seen.append(driver.launches())
                super().__setattr__(name, value)

        tensors = merge_operands(Lender)
        before = driver.launches()
        merge_attn_states(*tensors)
        self.assertEqual(seen, [before + 1] * 5)

    def test_it_is_given_back_when_it_is_refused_too(self):
        tensor = DlpackTensor(5, 3, 128, dtype="float64")
        tensors = merge_operands(DlpackTensor)
        tensors[1] = tensor
        self.refused(TypeError, "type code 2 with 64 bits", merge_attn_states, *tensors)
        self.assertEqual((tensor.deleted, tensors[0].deleted), (1, 1))

    def test_a_used_capsule_is_refused(self):
        tensors = merge_operands(DlpackTensor)
        merge_attn_states(*tensors)
        used = tensors[0].capsules[0]
        tensors[0].__class__ = type("Stale", (DlpackTensor,), {"__dlpack__": lambda self, stream:
                                                               used})
        self.refused(TypeError, "fresh \"dltensor\" capsule", merge_attn_states, *tensors)
        self.assertEqual(tensors[0].deleted, 1)

    def test_the_default_stream_is_one(self):
        tensors = merge_operands(DlpackTensor)
        merge_attn_states(*tensors)
        self.assertEqual(tensors[0].streams, [1])
        self.assertIsNone(driver.last().stream)


class Streams(TestCase):
    def test_every_spelling(self):
        handle = 0x1230
        for stream in (handle, types.SimpleNamespace(cuda_stream=handle),
                       types.SimpleNamespace(ptr=handle),
                       types.SimpleNamespace(__cuda_stream__=lambda: (0, handle))):
            merge_attn_states(*merge_operands(), stream=stream)
            self.assertEqual(driver.last().stream, handle)
        self.refused(TypeError, "expected stream to be an int", merge_attn_states,
                     *merge_operands(), stream="first")
        self.refused(TypeError, "got bool", merge_attn_states, *merge_operands(), stream=True)

    def test_the_interface_names_one(self):
        merge_attn_states(*merge_operands(stream=0x44))
        self.assertEqual(driver.last().stream, 0x44)
        tensors = merge_operands(stream=0x44)
        tensors[3] = InterfaceTensor(5, 3, 128, dtype="float16", stream=0x45)
        self.refused(ValueError, "output is used on stream 68 and suffix_output on stream 69; order "
                     "them and pass stream=", merge_attn_states, *tensors)
        merge_attn_states(*tensors, stream=0x45)
        self.assertEqual(driver.last().stream, 0x45)

    def test_programmatic_dependent(self):
        merge_attn_states(*merge_operands(), programmatic_dependent=True)
        self.assertEqual(driver.last().programmatic, 1)


class Torch(TestCase):
    def test_its_current_stream_is_taken(self):
        with WithTorch() as torch:
            merge_attn_states(*merge_operands(TorchTensor))
            self.assertEqual(driver.last().stream, torch.streams[0])

    def test_its_device_is_switched_to_and_back(self):
        with WithTorch() as torch:
            merge_attn_states(*merge_operands(TorchTensor, device=1))
            self.assertEqual((driver.last().device, driver.last().stream), (1, torch.streams[1]))
            self.assertEqual(torch.ordinal, 0)

    def test_gradients_are_refused_while_they_are_recorded(self):
        with WithTorch() as torch:
            tensors = merge_operands(TorchTensor)
            tensors[3].grad = True
            self.refused(ValueError, ["suffix_output requires one", "torch.no_grad()"],
                         merge_attn_states, *tensors)
            torch.grad_mode = False
            merge_attn_states(*tensors)

    def test_tensors_on_the_cpu_and_other_dtypes(self):
        with WithTorch():
            tensors = merge_operands(TorchTensor)
            tensors[1].ordinal = -1
            self.refused(ValueError, "expected prefix_output on a CUDA device, got a tensor on cpu",
                         merge_attn_states, *tensors)
            tensors = merge_operands(TorchTensor)
            tensors[4].dtype_name = "float64"
            self.refused(TypeError, "got torch.float64", merge_attn_states, *tensors)

    def test_mixed_with_another_library(self):
        with WithTorch() as torch:
            tensors = merge_operands(TorchTensor)
            tensors[2] = InterfaceTensor(3, 5, dtype="float32", stream=7)
            merge_attn_states(*tensors)
            self.assertEqual(driver.last().stream, torch.streams[0])


if __name__ == "__main__":
    unittest.main()
