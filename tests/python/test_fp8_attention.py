"""FP8 attention on tensors of every library: what is handed on, and what is made."""

import ctypes
import math
import unittest

import cubinet
from cubinet import _fp8_attention, _operands
from cubinet.kernels import fp8_attention, fp8_attention_workspace_bytes
from support import (CupyArray, DlpackTensor, InterfaceTensor, TestCase, TorchTensor, WithCupy,
                     WithTorch, driver)

WORDS = ctypes.c_uint64 * 16
DESCALES = ("q_descale", "k_descale", "v_descale")


class Params(ctypes.Structure):
    """kernel_templates/fp8_attention/params.h."""

    _fields_ = [(name, WORDS) for name in ("q", "k", "v")] + [
        (name, ctypes.c_uint64) for name in (
            "cu_seqlens_q", "cu_seqlens_k", "seqused_q", "seqused_k", "page_table",
            "page_table_stride")] + [(name, ctypes.c_uint64 * 3) for name in DESCALES] + [
                (name, ctypes.c_uint64) for name in (
                    "sinks", "out", "lse", "output_scale", "work_counters", "out_split_stride",
                    "out_token_stride", "out_head_stride", "lse_split_stride",
                    "lse_head_stride")] + [
                        (name, ctypes.c_float) for name in (
                            "softmax_scale_log2", "softcap_factor")] + [
                                (name, ctypes.c_int32) for name in (
                                    "window_left", "window_right", "num_sequences", "num_heads",
                                    "heads_per_kv", "page_size", "num_splits", "split_tiles")]


class CombineParams(ctypes.Structure):
    """kernel_templates/attention_combine/params.h."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "parts", "part_lse", "cu_seqlens_q", "seqused_q", "out", "lse", "output_scale",
        "part_split_stride", "part_token_stride", "part_head_stride", "lse_split_stride",
        "lse_head_stride", "out_token_stride", "out_head_stride")] + [
            (name, ctypes.c_int32) for name in (
                "num_parts", "num_tokens", "num_heads", "num_sequences")]


def heads(words):
    """(address, tokens, token stride, head stride) of a tensor map of heads."""
    return words[0], words[2], words[6], words[8]


def queries(words):
    """The same of queries, whose map has packed heads before tokens."""
    return words[0], words[3], words[7], words[6]


def fp8(*shape, kind=InterfaceTensor, **more):
    return kind(*shape, **{"dtype": "float8_e4m3fn", **more})


def f32(*shape, kind=InterfaceTensor, **more):
    return kind(*shape, dtype="float32", **more)


def i32(*shape, kind=InterfaceTensor, **more):
    return kind(*shape, dtype="int32", **more)


def operands(kind=InterfaceTensor, n=300, m=None, h=16, g=None, d=128, s=3, out="bfloat16", **more):
    """The operands that every call needs, by name."""
    m, g = n if m is None else m, g or h
    tensors = {"q": fp8(n, h, d, kind=kind, **more), "k": fp8(m, g, d, kind=kind, **more),
               "v": fp8(m, g, d, kind=kind, **more),
               "cu_seqlens_q": kind(s + 1, dtype="int32", **more)}
    if out:
        tensors["out"] = kind(n, h, d, dtype=out, **more)
    return tensors


def paged_operands(kind=InterfaceTensor, s=5, h=16, g=2, d=128, pages=100, size=64, **more):
    """Those of one decode step."""
    tensors = operands(kind, n=s, s=s, h=h, g=g, d=d, **more)
    for name in "kv":
        tensors[name] = fp8(pages, size, g, d, kind=kind, **more)
    tensors["page_table"] = kind(s, 32, dtype="int32", **more)
    tensors["seqused_k"] = kind(s, dtype="int32", **more)
    return tensors


class Calls(TestCase):
    def attends(self, tensors, launches=1, **more):
        """The parameters of the attention of a call."""
        before = driver.launches()
        self.result = fp8_attention(**tensors, **more)
        self.assertEqual(driver.launches(), before + launches)
        if launches == 0:
            return None
        return Params.from_buffer_copy(bytes(driver.launch(before).params))


class HandsOn(Calls):
    def test_every_kind_of_tensor(self):
        def attends(kind):
            tensors = operands(kind)
            params = self.attends(tensors)
            self.assertIs(self.result, tensors["out"])
            self.assertEqual((params.q[0], params.k[0], params.v[0], params.cu_seqlens_q,
                              params.out),
                             tuple([tensor.address for tensor in tensors.values()]))
            self.assertEqual((params.cu_seqlens_k, params.seqused_k, params.lse, params.sinks,
                              params.work_counters, params.q_descale[0]),
                             (tensors["cu_seqlens_q"].address, 0, 0, 0, 0, 0))
            self.assertEqual((params.num_sequences, params.num_heads, params.heads_per_kv),
                             (3, 16, 1))
            self.assertAlmostEqual(params.softmax_scale_log2, 128**-0.5 / math.log(2), places=6)
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

    def test_optional_operands_and_options(self):
        tensors = operands(n=300, m=500, g=4, out="uint8")
        more = {"cu_seqlens_k": i32(4), "seqused_q": i32(3), "seqused_k": i32(3),
                "sinks": InterfaceTensor(16), "lse": f32(16, 300), "output_scale": f32(),
                "work_counters": i32(2)}
        params = self.attends(
            tensors, **more, num_workers=20, softmax_scale=0.25, softcap=15.0, causal=False,
            window_size=(70, 9), stream=64, programmatic_dependent=False, pack_gqa=4,
            accum_interval=0, invariant=True)
        self.assertEqual((params.cu_seqlens_k, params.seqused_q, params.seqused_k, params.sinks,
                          params.lse, params.output_scale, params.work_counters),
                         tuple([tensor.address for tensor in more.values()]))
        self.assertEqual((params.window_left, params.window_right, params.heads_per_kv), (70, 9, 4))
        self.assertAlmostEqual(params.softmax_scale_log2, 15 / math.log(2), places=5)
        self.assertAlmostEqual(params.softcap_factor, 0.25 / 15, places=8)
        launch = driver.last()
        self.assertEqual((launch.grid[0], launch.stream, launch.programmatic), (20, 64, 0))
        info = cubinet.get_kernel("fp8_attention", {
            "CAUSAL": False, "WINDOW": True, "SOFTCAP": True, "SINKS": True, "kPackGqa": 4,
            "USE_FP8_OUTPUT": True, "PROGRAMMATIC_DEPENDENT_LAUNCH": False, "kAccumInterval": 0,
            "kInvariant": True},
            {"max_query_rows": 1200}).info
        self.assertEqual(launch.symbol.decode(), info.symbol)

    def test_pages(self):
        tensors = paged_operands()
        more = {"num_splits": 1, "max_seqlen_q": 1}
        params = self.attends(tensors, **more)
        self.assertEqual((params.k[0], params.v[0], params.page_table, params.seqused_k),
                         tuple([tensors[name].address for name in
                                ("k", "v", "page_table", "seqused_k")]))
        self.assertEqual((params.cu_seqlens_k, params.page_size, params.page_table_stride),
                         (0, 64, 32))
        self.assertEqual((heads(params.k)[1:], params.k[5], params.k[9]),
                         ((64, 256, 128), 100, 64 * 256))
        info = cubinet.get_kernel("fp8_attention", {"kPackGqa": 8, "kPageRows": 64},
                                  {"max_query_rows": 8}).info
        self.assertEqual(driver.last().symbol.decode(), info.symbol)
        # Keys and values side by side in a page, heads before tokens; a table within a wider one.
        for name in "kv":
            tensors[name] = fp8(100, 64, 2, 128, strides=(32768, 128, 8192, 1))
        tensors["page_table"] = i32(5, 32, strides=(40, 1))
        params = self.attends(tensors, **more)
        self.assertEqual((heads(params.v)[1:], params.v[9], params.page_table_stride),
                         ((64, 128, 8192), 32768, 40))
        for name in "kv":  # the stride from a page to no other says nothing
            tensors[name] = fp8(1, 64, 2, 128, strides=(0, 256, 128, 1))
        self.assertEqual(self.attends(tensors, **more).k[5], 1)

    def test_descales_of_every_shape(self):
        tensors = operands(g=4)
        for shape, strides, expected in (((), None, (0, 0)), ((1,), (7,), (0, 0)),
                                         ((1, 1), None, (0, 0)), ((4,), None, (0, 1)),
                                         ((3, 4), None, (4, 1)), ((3, 4), (0, 2), (0, 2)),
                                         ((3, 4), (9, 0), (9, 0)), ((3, 1), (5, 3), (5, 0)),
                                         ((1, 4), (5, 3), (0, 3))):
            for name in DESCALES:
                descale = f32(*shape, strides=strides)
                params = self.attends(tensors, **{name: descale}, pack_gqa=1)
                self.assertEqual(list(getattr(params, name)), [descale.address, *expected])

    def test_slices(self):
        tensors = operands(g=4)
        tensors["q"] = fp8(300, 16, 128, strides=(4096, 208, 1))
        tensors["k"] = fp8(300, 4, 128, strides=(1024, 256, 1))
        tensors["v"] = fp8(300, 4, 128, strides=(4 * 320, 320, 1))
        for shape, strides, expected in (((300, 16, 128), (4096, 136, 1), (4096, 136)),
                                         ((300, 16 * 128), None, (2048, 128)),
                                         ((300, 16 * 128), (2560, 1), (2560, 128))):
            tensors["out"] = InterfaceTensor(*shape, strides=strides)
            params = self.attends(tensors, pack_gqa=1)
            self.assertEqual((params.out_token_stride, params.out_head_stride), expected)
        self.assertEqual((queries(params.q)[1:], heads(params.k)[1:], heads(params.v)[1:]),
                         ((300, 4096, 208), (300, 1024, 256), (300, 1280, 320)))

    def test_windows_of_every_spelling(self):
        for given, words in (((-1, -1), (0, 0, False, False)), (None, (0, 0, False, False)),
                             ([-1, 0], (0, 0, False, True)), ((5, -1), (5, 0, True, False)),
                             ((5, 7), (5, 7, True, True))):
            self.assertEqual((*_fp8_attention._window(given), *_fp8_attention._flags(given)), words)
        symbols = []
        for window in (None, (-1, 0)):  # of which a causal mask makes the same
            self.attends(operands(), window_size=window)
            symbols.append(driver.last().symbol)
        self.assertEqual(*symbols)

    def test_nothing_to_do_launches_nothing(self):
        for kind in (InterfaceTensor, DlpackTensor):
            for tensors in (operands(kind, n=0), operands(kind, s=0), operands(kind, h=0)):
                before = driver.launches()
                fp8_attention(**tensors)
                self.assertEqual(driver.launches(), before)
        tensors = operands(m=0)
        tensors["k"].address = tensors["v"].address = 0
        self.attends(tensors, cu_seqlens_k=i32(4))

    def test_plans_are_bounded(self):
        for tokens in range(1, _operands.MAX_PLANS + 10):
            fp8_attention(**operands(n=tokens), num_splits=1)
        self.assertLessEqual(len(_fp8_attention._plans), _operands.MAX_PLANS)


LONG = {"max_seqlen_q": 1, "max_seqlen_k": 100_000}
SPLITTING = {"n": 1, "s": 1, "h": 1, "m": 100_000}


def long_operands(kind=InterfaceTensor, **more):
    """One token asks for many keys, which are split wherever there is a workspace."""
    return {**operands(kind, **SPLITTING, **more), "cu_seqlens_k": i32(2, kind=kind, **more), **LONG}


class Makes(Calls):
    """What torch and CuPy make where it is not given."""

    def combined(self):
        return CombineParams.from_buffer_copy(bytes(driver.last().params))

    def test_torch_makes_results(self):
        with WithTorch() as torch:
            tensors = operands(TorchTensor, out=None)
            params = self.attends(tensors)
            out, = torch.made
            self.assertIs(self.result, out)
            self.assertEqual((out.address, out.shape, out.dtype_name),
                             (params.out, (300, 16, 128), "bfloat16"))
            self.assertEqual((params.out_token_stride, params.out_head_stride), (2048, 128))
            params = self.attends(operands(TorchTensor, out=None, device=1), return_lse=True)
            out, lse = torch.made[1:]
            self.assertEqual(self.result, (out, lse))
            self.assertEqual((lse.dtype_name, lse.shape, lse.ordinal), ("float32", (16, 300), 1))
            self.assertEqual((params.out, params.lse), (out.address, lse.address))
            given = f32(16, 300, kind=TorchTensor)
            self.attends(operands(TorchTensor), lse=given, return_lse=True)
            self.assertIs(self.result[1], given)
            self.attends(operands(TorchTensor, n=0, out=None), launches=0,
                         output_scale=f32(1, kind=TorchTensor))
            self.assertEqual(self.result.dtype_name, "float8_e4m3fn")
            self.assertEqual(len(torch.made), 4)
            self.refused(ValueError, "expected out of shape [300, 16, 128] bfloat16, since one is "
                         "made only by torch, on its current stream; pass out", fp8_attention,
                         **operands(TorchTensor, out=None), stream=64)
        with WithCupy() as cupy:
            tensors = operands(CupyArray)
            self.attends(tensors, return_lse=True)
            self.assertEqual(self.result, (tensors["out"], cupy.made[0]))
            self.refused(ValueError, "pass out", fp8_attention, **operands(CupyArray, out=None))
        self.refused(ValueError, "expected lse of shape [16, 300] float32, since one is made only "
                     "by torch", fp8_attention, **operands(), return_lse=True)

    def test_torch_makes_a_workspace_on_its_current_stream(self):
        count = fp8_attention_workspace_bytes(1, 1, 1, **LONG)
        self.assertGreater(count, 128 * 4)
        with WithTorch() as torch:
            params = self.attends(long_operands(TorchTensor), launches=2)
            made, = torch.made
            self.assertEqual((made.shape, made.dtype_name), ((count,), "uint8"))
            combine = self.combined()
            self.assertEqual(params.num_splits, combine.num_parts)
            self.assertGreater(params.num_splits, 1)
            for address in (params.out, params.lse, combine.parts, combine.part_lse):
                self.assertTrue(made.address <= address < made.address + count)
            self.assertEqual((driver.last().stream, driver.last().symbol[:19]),
                             (torch.streams[0], b"attention_combine__"))
            self.attends(long_operands(TorchTensor, device=1), launches=2)
            self.assertEqual((torch.made[-1].ordinal, driver.last().device), (1, 1))
            # What torch makes would go to its next user before stream 64 is done with it.
            self.attends(long_operands(TorchTensor), stream=64)
            self.refused(ValueError, "pass workspace", fp8_attention, **long_operands(TorchTensor),
                         stream=64, num_splits=3)
            self.assertEqual(len(torch.made), 2)

    def test_cupy_makes_a_workspace_unless_it_captures(self):
        with WithCupy() as cupy:
            self.attends(long_operands(CupyArray), launches=2)
            self.assertEqual((len(cupy.made), driver.last().stream), (1, 0xC0))
            cupy.captures = True
            self.attends(long_operands(CupyArray))
            self.refused(ValueError, "by CuPy not while that captures; pass workspace",
                         fp8_attention, **long_operands(CupyArray), num_splits=3)
            self.assertEqual(len(cupy.made), 1)

    def test_no_workspace_is_made_that_is_not_needed(self):
        with WithTorch() as torch:
            self.attends(long_operands(TorchTensor), num_splits=1)
            self.attends(operands(TorchTensor, n=1 << 16, s=1))  # fills the GPU as it is
            fp8_attention(**operands(TorchTensor, n=0))
            self.assertEqual(torch.made, [])

    def test_a_workspace_that_is_given(self):
        count = fp8_attention_workspace_bytes(1, 1, 1, **LONG, num_splits=3)
        space = f32(2, (count + 7) // 8)
        params = self.attends(long_operands(), launches=2, num_splits=3, workspace=space)
        self.assertEqual((params.num_splits, self.combined().num_parts), (3, 3))
        self.assertTrue(space.address <= params.out < space.address + count)
        for less, words in ((count - 4, "workspace_bytes is"), (0, "workspace")):
            self.refused(ValueError, words, fp8_attention, **long_operands(), num_splits=3,
                         workspace=InterfaceTensor(less, dtype="uint8"))
        self.refused(ValueError, "expected workspace to be contiguous", fp8_attention,
                     **long_operands(), workspace=f32(count, strides=(2,)))
        self.refused(ValueError, "expected workspace to be writable", fp8_attention,
                     **long_operands(), workspace=f32(count, readonly=True))
        self.refused(ValueError, "expected a workspace of ", fp8_attention, **long_operands(),
                     num_splits=3)

    def test_bytes_follow_from_shapes(self):
        count = fp8_attention_workspace_bytes(4, 4, 8, 2, **LONG, num_splits=3)
        self.assertGreaterEqual(count, 3 * 4 * 8 * (128 + 1) * 4)
        for shape, more in (((4, 8, 8, 2), {}), ((4, 4, 16, 2), {}), ((4, 4, 8, 2), {"head_dim": 256}),
                            ((4, 4, 8, 2), {"num_splits": 5})):
            self.assertGreater(fp8_attention_workspace_bytes(
                *shape, **{**LONG, "num_splits": 3, **more}), count)
        narrow = fp8_attention_workspace_bytes(4, 4, 8, 2, **LONG, num_splits=3, head_dim=192,
                                               head_dim_v=128)
        self.assertEqual(narrow, count)
        self.assertEqual(fp8_attention_workspace_bytes(1, 1, 1, **LONG, multiprocessors=132),
                         fp8_attention_workspace_bytes(1, 1, 1, **LONG))
        self.assertLess(fp8_attention_workspace_bytes(1, 1, 1, **LONG, multiprocessors=20),
                        fp8_attention_workspace_bytes(1, 1, 1, **LONG))
        self.assertEqual(fp8_attention_workspace_bytes(1, 1, 1, **LONG, num_splits=1), 0)
        self.refused(ValueError, "head_dim is 80", fp8_attention_workspace_bytes, 1, 1, 1, **LONG,
                     head_dim=80)
        self.refused(TypeError, "expected num_tokens to be an int", fp8_attention_workspace_bytes,
                     1, 1.0, 1, **LONG)


if __name__ == "__main__":
    unittest.main()
