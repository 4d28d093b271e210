"""The chain of prefill attention with context: chunks, workspaces and what is refused."""

import unittest

from cubinet.kernels import (MlaContextChunk, mla_prefill_with_context,
                             mla_prefill_workspace_bytes)
from support import (CupyArray, DlpackTensor, InterfaceTensor, TestCase, TorchTensor, WithCupy,
                     WithTorch, driver)
from support import Params as MergeParams
from test_mla_prefill import Params, f32, heads, operands


def chunk(kind=InterfaceTensor, m=400, h=16, rope=False, s=3, **more):
    keys = [kind(m, h, 128 if rope else 192, **more), kind(m, h, 128, **more),
            kind(s + 1, dtype="int32", **more)]
    return MlaContextChunk(*keys, kind(m, 64, **more) if rope else None)


def workspace(count, kind=InterfaceTensor, **more):
    return kind(count, dtype="uint8", **more)


class Chain(TestCase):
    def attends(self, tensors, chunks, **more):
        before = driver.launches()
        mla_prefill_with_context(**tensors, chunks=chunks, **more)
        self.assertEqual(driver.launches(), before + 1 + 2 * len(chunks))
        return MergeParams.from_buffer_copy(bytes(driver.last().params))

    def test_every_kind_of_tensor(self):
        for kind in (InterfaceTensor, DlpackTensor):
            tensors = operands(kind, out="float8_e4m3fn")
            lse, scale = f32(16, 300, kind=kind), f32(1, kind=kind)
            count = mla_prefill_workspace_bytes(300, 16, 2, dtype="e4m3")
            params = self.attends(tensors, [chunk(kind), chunk(kind, m=500)], lse=lse,
                                  output_scale=scale, workspace=workspace(count, kind))
            self.assertEqual((params.output, params.output_lse, params.output_scale),
                             (tensors["out"].address, lse.address, scale.address))
            self.assertEqual(params.num_tokens, 300)

    def test_every_operand_of_every_chunk(self):
        chunks = [chunk(m=400, rope=True), chunk(m=500)]
        chunks[1] = chunks[1]._replace(k=InterfaceTensor(500, 16, 192, strides=(4096, 208, 1)),
                                       v=InterfaceTensor(500, 16, 128, strides=(4112, 216, 1)))
        before = driver.launches()
        self.attends(operands(rope=True), chunks, workspace=workspace(1 << 24), causal=True)
        launches = [driver.launch(index) for index in range(before, before + 5)]
        found = [Params.from_buffer_copy(bytes(launch.params)) for launch in launches
                 if launch.symbol.startswith(b"mla_prefill__")]
        self.assertEqual(len(found), 3)
        by_keys = {params.k[0]: params for params in found}
        for given, strides, rope in ((chunks[0], ((2048, 128), (2048, 128)), True),
                                     (chunks[1], ((4096, 208), (4112, 216)), False)):
            params = by_keys[given.k.address]
            count = given.k.shape[0]
            self.assertEqual(heads(params.k), (given.k.address, count, *strides[0]))
            self.assertEqual(heads(params.v), (given.v.address, count, *strides[1]))
            self.assertEqual(params.cu_seqlens_k, given.cu_seqlens_k.address)
            if rope:
                self.assertEqual(params.k_rope[0], given.k_rope.address)

    def test_tuples_are_chunks(self):
        rope = chunk(rope=True)
        self.attends(operands(rope=True), [tuple(rope), rope], workspace=workspace(1 << 24))
        self.attends(operands(), [chunk(), rope], workspace=workspace(1 << 24))
        self.attends(operands(), [tuple(chunk())[:3]], workspace=workspace(1 << 24))

    def test_no_chunks_need_no_workspace(self):
        before = driver.launches()
        mla_prefill_with_context(**operands(), chunks=())
        self.assertEqual(driver.launches(), before + 1)

    def test_a_workspace_may_be_of_any_dtype(self):
        count = mla_prefill_workspace_bytes(300, 16, 1)
        self.attends(operands(), [chunk()], workspace=f32(2, (count + 7) // 8))
        less = count - 4
        self.refused(ValueError, f"expected workspace of {count} bytes, got {less}: [{less}] uint8",
                     mla_prefill_with_context, **operands(), chunks=[chunk()],
                     workspace=workspace(less))
        self.refused(ValueError, "expected workspace to be writable", mla_prefill_with_context,
                     **operands(), chunks=[chunk()], workspace=workspace(count, readonly=True))
        self.refused(ValueError, "expected workspace to be contiguous", mla_prefill_with_context,
                     **operands(), chunks=[chunk()], workspace=workspace(count, strides=(2,)))

    def test_torch_makes_a_workspace_on_its_current_stream(self):
        with WithTorch() as torch:
            chunks = [chunk(TorchTensor)]
            self.attends(operands(TorchTensor), chunks)
            self.assertEqual(driver.last().stream, torch.streams[0])
            self.assertEqual([tensor.shape for tensor in torch.made],
                             [(mla_prefill_workspace_bytes(300, 16, 1),)])
            self.attends(operands(TorchTensor), chunks, stream=torch.streams[0])
            self.attends(operands(TorchTensor), chunks, stream=64,
                         workspace=workspace(1 << 24, TorchTensor))
            # What torch makes would go to its next user before stream 64 is done with it.
            self.refused(ValueError, "since one is made only for tensors of torch or CuPy on their "
                         "current stream, and by CuPy not while that captures; pass workspace",
                         mla_prefill_with_context, **operands(TorchTensor), chunks=chunks,
                         stream=64)
            self.assertEqual(len(torch.made), 2)
            self.attends(operands(TorchTensor, device=1), [chunk(TorchTensor, device=1)])
            self.assertEqual((torch.made[-1].ordinal, driver.last().device), (1, 1))

    def test_cupy_makes_a_workspace_on_its_current_stream(self):
        with WithCupy() as cupy:
            for device in (0, 1):
                self.attends(operands(CupyArray, device=device), [chunk(CupyArray, device=device)])
                self.assertEqual((cupy.made[-1].ordinal, driver.last().stream),
                                 (device, 0xC0 + device))
            self.refused(ValueError, "pass workspace", mla_prefill_with_context,
                         **operands(CupyArray), chunks=[chunk(CupyArray)], stream=64)
            # CuPy would hand out again what a graph still writes to.
            cupy.captures = True
            self.refused(ValueError, "pass workspace", mla_prefill_with_context,
                         **operands(CupyArray), chunks=[chunk(CupyArray)])

    def test_others_bring_a_workspace(self):
        self.refused(ValueError, "expected a workspace of ", mla_prefill_with_context, **operands(),
                     chunks=[chunk()])


class Refuses(TestCase):
    def says(self, kind, text, chunks, given=None, **more):
        self.refused(kind, text, mla_prefill_with_context, **{**operands(), **(given or {})},
                     chunks=chunks, workspace=workspace(1 << 24), **more)

    def test_chunks(self):
        good = chunk()
        self.says(ValueError, "expected chunks[1].k and chunks[1].v with 16 heads, of 128 elements "
                  "in chunks[1].v, as those of k and v, got 8 of 128", [good, chunk(h=8)])
        self.says(ValueError, "got 16 of 64", [good._replace(v=InterfaceTensor(400, 16, 64))])
        self.says(ValueError, "expected chunks[0].v of shape [num_keys, num_kv_heads, head_dim_v] "
                  "= [400, 16, head_dim_v], got [399, 16, 128]",
                  [good._replace(v=InterfaceTensor(399, 16, 128))])
        self.says(ValueError, "expected chunks[0].cu_seqlens_k of shape [num_sequences + 1] = [4], "
                  "got [5]", [chunk(s=4)])
        self.says(ValueError, "head_dim - 64] = [num_keys, num_kv_heads, 128], got [400, 16, 192]",
                  [good._replace(k_rope=InterfaceTensor(400, 64))])
        self.says(TypeError, "expected chunks[0].k of dtype bfloat16, got float16",
                  [good._replace(k=InterfaceTensor(400, 16, 192, dtype="float16"))])
        self.says(TypeError, "expected chunks[1].cu_seqlens_k to be a CUDA tensor, got NoneType",
                  [good, good._replace(cu_seqlens_k=None)])
        self.says(TypeError, "expected chunks to be a list of MlaContextChunk, which may be empty, "
                  "got NoneType", None)
        for wrong in (None, (good.k, good.v), (*good, good.k)):
            self.says(TypeError, "expected chunks[0] to be an MlaContextChunk or a tuple (k, v, "
                      "cu_seqlens_k, k_rope), got", [wrong])
        self.says(ValueError, "on the same device, but q is on cuda:0 and chunks[0].k on cuda:1",
                  [chunk(device=1)])

    def test_an_output_with_padded_tokens(self):
        padded = InterfaceTensor(300, 2048, strides=(2560, 1))
        self.says(ValueError, "output_token_stride is 2560", [chunk()], {"out": padded})


class WorkspaceBytes(TestCase):
    def test_it_follows_from_the_shape_of_the_output(self):
        count = mla_prefill_workspace_bytes(300, 16, 1)
        self.assertGreaterEqual(count, 300 * 16 * (128 * 2 + 4))
        self.assertEqual(mla_prefill_workspace_bytes(300, 16, 0), 0)
        self.assertGreater(mla_prefill_workspace_bytes(300, 32, 1), count)
        self.assertGreaterEqual(mla_prefill_workspace_bytes(301, 16, 1), count)
        self.assertLess(mla_prefill_workspace_bytes(300, 16, 1, head_dim_v=64), count)

    def test_every_spelling_of_a_dtype(self):
        counts = {dtype: mla_prefill_workspace_bytes(300, 16, 1, dtype=dtype)
                  for dtype in ("bf16", "bfloat16", "f16", "f32", "e4m3", "uint8")}
        self.assertEqual(counts["bf16"], counts["bfloat16"])
        self.assertEqual(counts["f32"], counts["e4m3"])  # parts are fp32 then
        self.assertGreater(counts["e4m3"], counts["f16"])
        with WithTorch() as torch:
            self.assertEqual(mla_prefill_workspace_bytes(300, 16, 1, dtype=torch.bfloat16),
                             counts["bf16"])
        for wrong in ("int32", "x", None, 4, ["bf16"]):
            self.refused(TypeError, "expected dtype to be bfloat16", mla_prefill_workspace_bytes,
                         300, 16, 1, dtype=wrong)

    def test_what_is_no_shape(self):
        self.refused(ValueError, "head_dim is 96", mla_prefill_workspace_bytes, 300, 16, 1,
                     head_dim_v=96)
        self.refused(ValueError, "num_chunks is -1", mla_prefill_workspace_bytes, 300, 16, -1)
        self.refused(TypeError, "expected num_tokens to be an int", mla_prefill_workspace_bytes,
                     300.0, 16, 1)


if __name__ == "__main__":
    unittest.main()
