"""The MQA logits on tensors of every library: what is handed on, and what is refused in which words."""

import ctypes
import unittest

from cubinet import _operands, _paged_mqa_logits
from cubinet.kernels import mqa_logits, paged_mqa_logits
from support import DlpackTensor, InterfaceTensor, TestCase, TorchTensor, WithTorch, driver

WORDS = ctypes.c_uint64 * 16


class PagedParams(ctypes.Structure):
    """kernel_templates/paged_mqa_logits/params.h."""

    _fields_ = [(name, WORDS) for name in ("keys", "queries")] + [
        (name, ctypes.c_uint64) for name in (
            "pages", "weights", "context_lens", "block_table", "schedule", "logits", "page_stride",
            "block_table_stride", "logits_stride")] + [
                (name, ctypes.c_uint32) for name in ("batch", "max_context_len")]


class Params(ctypes.Structure):
    """kernel_templates/mqa_logits/params.h."""

    _fields_ = [(name, WORDS) for name in ("keys", "key_scales", "queries")] + [
        (name, ctypes.c_uint64) for name in ("weights", "starts", "ends", "logits",
                                             "logits_stride")] + [
            (name, ctypes.c_uint32) for name in ("num_tokens", "num_keys", "logits_width",
                                                 "reserved")]


def launched(kind):
    return kind.from_buffer_copy(bytes(driver.last().params))


def fp8(kind, *shape, **more):
    return kind(*shape, **{"dtype": "float8_e4m3fn", **more})


def paged_operands(kind=InterfaceTensor, b=5, n=3, h=64, d=128, blocks=100, length=1000, **more):
    """The six tensors that every call needs, in order."""
    return [kind(b * n, length, dtype="float32", **more), fp8(kind, b, n, h, d, **more),
            kind(blocks, 64, 1, d + 4, dtype="uint8", **more),
            kind(b * n, h, dtype="float32", **more), kind(b, n, dtype="int32", **more),
            kind(b, 16, dtype="int32", **more)]


def operands(kind=InterfaceTensor, m=10, n=1000, h=32, d=128, **more):
    return [kind(m, n, dtype="float32", **more), fp8(kind, m, h, d, **more),
            fp8(kind, n, d, **more), kind(n, dtype="float32", **more),
            kind(m, h, dtype="float32", **more), kind(m, dtype="int32", **more),
            kind(m, dtype="int32", **more)]


class PagedHandsOn(TestCase):
    def scores(self, tensors, *more, **options):
        before = driver.launches()
        paged_mqa_logits(*tensors, *more, **options)
        self.assertEqual(driver.launches(), before + 1)
        return launched(PagedParams)

    def test_every_kind_of_tensor(self):
        def scores(kind):
            tensors = paged_operands(kind)
            params = self.scores(tensors)
            logits, query, cache, weights, lens, table = [tensor.address for tensor in tensors]
            self.assertEqual((params.logits, params.queries[0], params.keys[0], params.pages,
                              params.weights, params.context_lens, params.block_table,
                              params.schedule),
                             (logits, query, cache, cache, weights, lens, table, 0))
            self.assertEqual((params.batch, params.max_context_len, params.page_stride,
                              params.block_table_stride, params.logits_stride),
                             (5, 1000, 64 * 132, 16, 1000))
            self.assertEqual((driver.last().programmatic, driver.last().grid[0]), (1, 132))

        for kind in (InterfaceTensor, DlpackTensor):
            scores(kind)
        with WithTorch():
            scores(TorchTensor)

    def test_a_schedule_says_how_many_workers_there_are(self):
        schedule = InterfaceTensor(67, 2, dtype="int32")
        params = self.scores(paged_operands(), schedule)
        self.assertEqual((params.schedule, driver.last().grid[0]), (schedule.address, 66))
        self.scores(paged_operands(), schedule, num_workers=66)
        self.refused(ValueError, "expected num_workers to be that of the schedule (66), got 132",
                     paged_mqa_logits, *paged_operands(), schedule, num_workers=132)
        self.scores(paged_operands(), num_workers=20)
        self.assertEqual(driver.last().grid[0], 20)

    def test_options(self):
        self.scores(paged_operands(), stream=64, programmatic_dependent=False)
        self.assertEqual((driver.last().programmatic, driver.last().stream), (0, 64))
        plain = driver.last().symbol
        self.scores(paged_operands(), clean_logits=True, programmatic_dependent=False)
        self.assertNotEqual(driver.last().symbol, plain)

    def test_one_token_needs_no_dimension_of_its_own(self):
        tensors = paged_operands(n=1)
        self.scores(tensors)
        symbol = driver.last().symbol
        tensors[1] = fp8(InterfaceTensor, 5, 64, 128)
        tensors[4] = InterfaceTensor(5, dtype="int32")
        self.scores(tensors)
        self.assertEqual(driver.last().symbol, symbol)

    def test_caches_of_every_shape(self):
        tensors = paged_operands()
        for shape, strides, stride in (((100, 64, 132), None, 8448), ((100, 8448), None, 8448),
                                       ((100, 64, 1, 132), (9216, 132, 132, 1), 9216),
                                       ((100, 64, 1, 132), (9216, 132, 7, 1), 9216),
                                       ((100, 32, 1, 132), None, 4224)):
            tensors[2] = InterfaceTensor(*shape, dtype="uint8", strides=strides)
            self.assertEqual(self.scores(tensors).page_stride, stride)

    def test_padded_rows(self):
        tensors = paged_operands()
        tensors[0] = InterfaceTensor(15, 1000, dtype="bfloat16", strides=(1024, 1))
        tensors[5] = InterfaceTensor(5, 16, dtype="int32", strides=(40, 1))
        params = self.scores(tensors)
        self.assertEqual((params.logits_stride, params.block_table_stride), (1024, 40))

    def test_nothing_to_do_launches_nothing(self):
        before = driver.launches()
        paged_mqa_logits(*paged_operands(b=0))
        paged_mqa_logits(*paged_operands(length=0))
        self.assertEqual(driver.launches(), before)

    def test_plans_are_bounded(self):
        for length in range(1, _operands.MAX_PLANS + 10):
            paged_mqa_logits(*paged_operands(length=length))
        self.assertLessEqual(len(_paged_mqa_logits._plans), _operands.MAX_PLANS)


class PagedRefuses(TestCase):
    def says(self, kind, text, at, tensor, *more, **options):
        tensors = paged_operands()
        tensors[at] = tensor
        self.refused(kind, text, paged_mqa_logits, *tensors, *more, **options)

    def test_shapes(self):
        self.says(ValueError, "expected logits of shape [batch * next_n, columns] = [15, columns], "
                  "got [5, 1000]", 0, InterfaceTensor(5, 1000, dtype="float32"))
        self.says(ValueError, "expected query of shape [batch, next_n, num_heads, head_dim]", 1,
                  fp8(InterfaceTensor, 15, 8192))
        self.says(ValueError, "with head_dim 128, got [100, 64, 1, 128]", 2,
                  InterfaceTensor(100, 64, 1, 128, dtype="uint8"))
        self.says(ValueError, "with head_dim 128, got [100, 64, 2, 132]", 2,
                  InterfaceTensor(100, 64, 2, 132, dtype="uint8"))
        self.says(ValueError, "expected weights of shape [batch * next_n, num_heads] = [15, 64], "
                  "got [5, 64]", 3, InterfaceTensor(5, 64, dtype="float32"))
        self.says(ValueError, "expected context_lens of shape [batch, next_n] = [5, 3], got [5]", 4,
                  InterfaceTensor(5, dtype="int32"))
        self.says(ValueError, "expected block_table of shape [batch, blocks] = [5, blocks], got "
                  "[4, 16]", 5, InterfaceTensor(4, 16, dtype="int32"))
        lens = paged_operands()[4]
        for shape in ((67,), (1, 2), (67, 3)):
            self.says(ValueError, "expected schedule of shape [num_workers + 1, 2]", 4, lens,
                      InterfaceTensor(*shape, dtype="int32"))
        self.refused(ValueError, "next_n is 7; expected 1 to 6", paged_mqa_logits,
                     *paged_operands(n=7))
        self.refused(ValueError, "num_heads is 8; expected 16, 32 or 64", paged_mqa_logits,
                     *paged_operands(h=8))
        self.says(ValueError, "block_kv is 16; expected 32 or 64", 2,
                  InterfaceTensor(100, 16, 1, 132, dtype="uint8"))

    def test_dtypes(self):
        self.says(TypeError, "expected logits of dtype float32 or bfloat16, got float16", 0,
                  InterfaceTensor(15, 1000, dtype="float16"))
        self.says(TypeError, "expected query of dtype float8_e4m3fn or uint8, got bfloat16", 1,
                  InterfaceTensor(5, 3, 64, 128))
        self.says(TypeError, "expected kv_cache of dtype uint8 or float8_e4m3fn, got float32", 2,
                  InterfaceTensor(100, 64, 1, 132, dtype="float32"))
        self.says(TypeError, "expected weights of dtype float32, got bfloat16", 3,
                  InterfaceTensor(15, 64))
        self.says(TypeError, "expected context_lens of dtype int32, got float32", 4,
                  InterfaceTensor(5, 3, dtype="float32"))
        self.says(TypeError, "expected block_table of dtype int32, got uint8", 5,
                  InterfaceTensor(5, 16, dtype="uint8"))

    def test_strides(self):
        self.says(ValueError, "expected query to be contiguous", 1,
                  fp8(InterfaceTensor, 5, 3, 64, 128, strides=(3 * 64 * 256, 64 * 256, 256, 1)))
        self.says(ValueError, "expected kv_cache whose blocks are contiguous", 2,
                  InterfaceTensor(100, 64, 1, 132, dtype="uint8",
                                  strides=(64 * 144, 144, 144, 1)))
        self.says(ValueError, "expected logits whose rows are contiguous and apart", 0,
                  InterfaceTensor(15, 1000, dtype="float32", strides=(1, 15)))
        self.says(ValueError, "expected block_table whose rows are contiguous and apart", 5,
                  InterfaceTensor(5, 16, dtype="int32", strides=(0, 1)))
        self.says(ValueError, "block_stride is 8456; expected a multiple of 16", 2,
                  InterfaceTensor(100, 64, 1, 132, dtype="uint8", strides=(8456, 132, 132, 1)))

    def test_memory(self):
        tensors = paged_operands()
        tensors[0].address = tensors[2].address + 8448
        self.refused(ValueError, "overlaps kv_cache (844800 bytes at ", paged_mqa_logits, *tensors)
        self.says(ValueError, "expected logits to be writable", 0,
                  InterfaceTensor(15, 1000, dtype="float32", readonly=True))
        self.says(ValueError, "query is at 0x1008; expected an address that 16 divides", 1,
                  fp8(InterfaceTensor, 5, 3, 64, 128, address=0x1008))
        self.says(ValueError, "on the same device", 3,
                  InterfaceTensor(15, 64, dtype="float32", device=1))

    def test_what_is_no_number(self):
        tensors = paged_operands()
        self.refused(TypeError, "expected num_workers to be an int, got float", paged_mqa_logits,
                     *tensors, num_workers=1.5)
        self.refused(ValueError, "num_workers is -1; expected 0 to", paged_mqa_logits, *tensors,
                     num_workers=-1)

    def test_gradients(self):
        with WithTorch():
            tensors = paged_operands(TorchTensor)
            tensors[3].grad = True
            self.refused(ValueError, "paged_mqa_logits has no gradient, but weights requires one",
                         paged_mqa_logits, *tensors)


class Plain(TestCase):
    def scores(self, tensors, **options):
        before = driver.launches()
        mqa_logits(*tensors, **options)
        self.assertEqual(driver.launches(), before + 1)
        return launched(Params)

    def test_every_kind_of_tensor(self):
        def scores(kind):
            tensors = operands(kind)
            params = self.scores(tensors)
            self.assertEqual((params.logits, params.queries[0], params.keys[0],
                              params.key_scales[0], params.weights, params.starts, params.ends),
                             tuple([tensor.address for tensor in tensors]))
            self.assertEqual((params.num_tokens, params.num_keys, params.logits_width,
                              params.logits_stride), (10, 1000, 1000, 1000))
            self.assertEqual((driver.last().programmatic, driver.last().grid[0]), (1, 132))

        for kind in (InterfaceTensor, DlpackTensor):
            scores(kind)
        with WithTorch():
            scores(TorchTensor)

    def test_options(self):
        tensors = operands()
        tensors[0] = InterfaceTensor(10, 300, dtype="bfloat16", strides=(512, 1))
        symbols = set()
        for options in ({}, {"compressed_logits": True}, {"clean_logits": True},
                        {"programmatic_dependent": False}):
            params = self.scores(tensors, num_workers=7, stream=64, **options)
            self.assertEqual((params.logits_width, params.logits_stride), (300, 512))
            self.assertEqual((driver.last().grid[0], driver.last().stream), (7, 64))
            symbols.add(driver.last().symbol)
        self.assertEqual(len(symbols), 4)
        self.assertEqual(driver.last().programmatic, 0)

    def test_nothing_to_do_launches_nothing(self):
        before = driver.launches()
        mqa_logits(*operands(m=0))
        mqa_logits(*operands(n=0))
        tensors = operands()
        tensors[0] = InterfaceTensor(10, 0, dtype="float32")
        mqa_logits(*tensors)
        self.assertEqual(driver.launches(), before)

    def test_refusals(self):
        def says(kind, text, at, tensor):
            tensors = operands()
            tensors[at] = tensor
            self.refused(kind, text, mqa_logits, *tensors)

        says(ValueError, "expected logits of shape [num_tokens, columns] = [10, columns], got "
             "[9, 1000]", 0, InterfaceTensor(9, 1000, dtype="float32"))
        says(ValueError, "expected query of shape [num_tokens, num_heads, head_dim], got [10, 4096]",
             1, fp8(InterfaceTensor, 10, 4096))
        says(ValueError, "expected keys of shape [num_keys, head_dim] = [1000, 128], got [1000, 64]",
             2, fp8(InterfaceTensor, 1000, 64))
        says(ValueError, "expected key_scales of shape [num_keys] = [1000], got [999]", 3,
             InterfaceTensor(999, dtype="float32"))
        says(ValueError, "expected weights of shape [num_tokens, num_heads] = [10, 32], got [10, "
             "64]", 4, InterfaceTensor(10, 64, dtype="float32"))
        says(TypeError, "expected starts of dtype int32, got float32", 5,
             InterfaceTensor(10, dtype="float32"))
        says(ValueError, "expected ends of shape [num_tokens] = [10], got [11]", 6,
             InterfaceTensor(11, dtype="int32"))
        tensors = operands()
        tensors[0].address = tensors[6].address
        self.refused(ValueError, "overlaps ends (40 bytes at ", mqa_logits, *tensors)
        self.refused(ValueError, "head_dim is 96; expected 32, 64 or 128", mqa_logits,
                     *operands(d=96))


if __name__ == "__main__":
    unittest.main()
