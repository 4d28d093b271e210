"""The scheduler of paged MQA logits on tensors of every library."""

import ctypes
import unittest

from cubinet.kernels import paged_mqa_logits_metadata
from support import (DlpackTensor, InterfaceTensor, TestCase, TorchTensor, WithTorch, driver)


class Params(ctypes.Structure):
    """kernel_templates/paged_mqa_logits_metadata/params.h."""

    _fields_ = [("context_lens", ctypes.c_uint64), ("schedule", ctypes.c_uint64)] + [
        (name, ctypes.c_uint32) for name in ("batch", "next_n", "max_context_len", "num_workers")]


def launched():
    return Params.from_buffer_copy(bytes(driver.last().params))


def ints(*shape, kind=InterfaceTensor, **more):
    return kind(*shape, **{"dtype": "int32", **more})


class HandsOn(TestCase):
    def test_every_kind_of_tensor(self):
        for kind in (InterfaceTensor, DlpackTensor):
            self.schedules(kind)
        with WithTorch():
            self.schedules(TorchTensor)

    def schedules(self, kind):
        for shape, batch, next_n in (((5, 3), 5, 3), ((7,), 7, 1), ((0, 2), 0, 2)):
            schedule, lens = ints(133, 2, kind=kind), ints(*shape, kind=kind)
            before = driver.launches()
            paged_mqa_logits_metadata(schedule, lens, 8192)
            self.assertEqual(driver.launches(), before + 1)
            params = launched()
            self.assertEqual((params.schedule, params.context_lens),
                             (schedule.address, lens.address))
            self.assertEqual((params.batch, params.next_n, params.max_context_len,
                              params.num_workers), (batch, next_n, 8192, 132))
            self.assertEqual(driver.last().programmatic, 1)

    def test_in_order_on_a_stream(self):
        paged_mqa_logits_metadata(ints(2, 2), ints(1), 0, stream=64, programmatic_dependent=False)
        self.assertEqual((driver.last().programmatic, driver.last().stream), (0, 64))
        self.assertEqual(launched().num_workers, 1)


class Refuses(TestCase):
    def says(self, kind, text, *arguments, **more):
        before = driver.launches()
        self.refused(kind, text, paged_mqa_logits_metadata, *arguments, **more)
        self.assertEqual(driver.launches(), before)

    def test_shapes(self):
        for shape in ((133,), (133, 3), (1, 2), (133, 2, 1)):
            self.says(ValueError, "expected schedule of shape [num_workers + 1, 2], got "
                      f"{list(shape)}", ints(*shape), ints(5), 100)
        for shape in ((), (5, 0), (5, 1, 1)):
            self.says(ValueError, "expected context_lens of shape [batch, next_n] or [batch], got "
                      f"{list(shape)}", ints(133, 2), ints(*shape), 100)

    def test_dtypes(self):
        self.says(TypeError, "expected context_lens of dtype int32, got float32", ints(133, 2),
                  InterfaceTensor(5, dtype="float32"), 100)
        self.says(TypeError, "expected schedule of dtype int32, got uint8",
                  InterfaceTensor(133, 2, dtype="uint8"), ints(5), 100)

    def test_strides(self):
        self.says(ValueError, "expected context_lens to be contiguous, got strides [4, 1] for shape "
                  "[5, 3]; pass context_lens.contiguous()", ints(133, 2),
                  ints(5, 3, strides=(4, 1)), 100)
        self.says(ValueError, "expected schedule to be contiguous", ints(133, 2, strides=(1, 133)),
                  ints(5), 100)
        paged_mqa_logits_metadata(ints(133, 2), ints(5, 1, strides=(1, 7)), 100)

    def test_lengths(self):
        for value, kind in ((-1, ValueError), (1 << 31, ValueError), (True, TypeError),
                            (1.5, TypeError), (ints(1), TypeError)):
            self.says(kind, "expected max_context_len", ints(133, 2), ints(5), value)

    def test_overlap_and_devices(self):
        lens = ints(5)
        self.says(ValueError, "expected schedule not to overlap another tensor, but it shares "
                  "memory with context_lens", ints(133, 2, address=lens.address + 16), lens, 100)
        self.says(ValueError, "expected all tensors to be on the same device", ints(133, 2),
                  ints(5, device=1), 100)
        self.says(ValueError, "read-only", ints(133, 2, readonly=True), lens, 100)

    def test_the_front_ends_own_words(self):
        self.says(ValueError, "launch paged_mqa_logits_metadata: batch * ceil(max_context_len",
                  ints(133, 2), ints(4096), (1 << 31) - 1)


if __name__ == "__main__":
    unittest.main()
