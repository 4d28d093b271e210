"""Tensor maps of tensors, as the fake driver notes them."""

import ctypes
import unittest

import cubinet
from support import DlpackTensor, InterfaceTensor, TestCase, TorchTensor, WithTorch, driver


class Noted(ctypes.Structure):
    """tests/support/fake_tensor_map.hpp."""

    _fields_ = [("address", ctypes.c_uint64), ("sizes", ctypes.c_uint64 * 5),
                ("strides", ctypes.c_uint64 * 4), ("box", ctypes.c_uint16 * 5),
                ("element_strides", ctypes.c_uint8 * 5), ("rank", ctypes.c_uint8),
                ("type", ctypes.c_uint8), ("interleave", ctypes.c_uint8),
                ("swizzle", ctypes.c_uint8), ("promotion", ctypes.c_uint8),
                ("fill", ctypes.c_uint8)]


def noted(*arguments, **more):
    made = cubinet.make_tensor_map(*arguments, **more)
    assert ctypes.sizeof(made) == 128
    return Noted.from_buffer_copy(bytes(made))


class TensorMaps(TestCase):
    def test_dimensions_turn_round(self):
        tensor = InterfaceTensor(1000, 64, 128, dtype="float8_e4m3fn", strides=(8448, 128, 1))
        made = noted(tensor, (1, 64, 128), swizzle_bytes=128)
        self.assertEqual((made.address, made.rank, made.type), (tensor.address, 3, 0))
        self.assertEqual(list(made.sizes), [128, 64, 1000, 0, 0])
        self.assertEqual(list(made.strides), [128, 8448, 0, 0])
        self.assertEqual(list(made.box), [128, 64, 1, 0, 0])
        self.assertEqual(list(made.element_strides), [1, 1, 1, 0, 0])
        self.assertEqual((made.swizzle, made.promotion, made.fill), (3, 3, 0))

    def test_every_choice_arrives(self):
        tensor = InterfaceTensor(10, 64, dtype="float32")
        for number, size in enumerate((0, 32, 64, 128)):
            self.assertEqual(noted(tensor, [1, 4], swizzle_bytes=size).swizzle, number)
        for number, size in enumerate((0, 64, 128, 256)):
            self.assertEqual(noted(tensor, [1, 4], l2_promotion_bytes=size).promotion, number)
        made = noted(tensor, [1, 4], fill="nan", element_strides=[3, 1])
        self.assertEqual((made.fill, list(made.element_strides[:2])), (1, [1, 3]))

    def test_tensors_of_every_kind_are_taken(self):
        self.assertEqual(noted(DlpackTensor(4, 64, dtype="float16"), (4, 8)).type, 6)
        with WithTorch():
            self.assertEqual(noted(TorchTensor(4, 64, dtype="bfloat16"), (4, 8)).type, 9)

    def test_strides_of_extents_1_say_nothing(self):
        tensor = InterfaceTensor(1, 3, 20, dtype="float32", strides=(7, 24, 1))
        self.assertEqual(list(noted(tensor, (1, 1, 4)).strides[:2]), [96, 288])
        tensor = InterfaceTensor(1, 3, dtype="float32", strides=(1, 1))
        self.assertEqual(noted(tensor, (1, 4)).strides[0], 16)

    def test_equal_maps_are_encoded_once(self):
        tensor = InterfaceTensor(11, 64, dtype="float32")
        count = driver.library.fake_cuda_calls
        first = bytes(cubinet.make_tensor_map(tensor, (1, 64)))
        before = count(b"cuTensorMapEncodeTiled")
        self.assertEqual(bytes(cubinet.make_tensor_map(tensor, (1, 64))), first)
        self.assertEqual(count(b"cuTensorMapEncodeTiled"), before)
        with cubinet.Runtime(driver=driver.path, memory_only=True) as runtime:
            self.assertEqual(bytes(cubinet.make_tensor_map(tensor, (1, 64), runtime=runtime)), first)
        self.assertEqual(count(b"cuTensorMapEncodeTiled"), before + 1)

    def test_it_is_a_member_of_params(self):
        class Params(ctypes.Structure):
            _fields_ = [("map", cubinet.TensorMap), ("pointer", ctypes.c_void_p)]

        made = cubinet.make_tensor_map(InterfaceTensor(10, 64, dtype="float32"), (1, 64))
        self.assertEqual(bytes(Params(made, 7))[:128], bytes(made))

    def test_what_cannot_be_right_is_refused(self):
        make, tensor = cubinet.make_tensor_map, InterfaceTensor(10, 64, dtype="float32")
        self.refused(ValueError, "a sequence of 2 ints", make, tensor, (64,))
        self.refused(ValueError, "a sequence of 2 ints", make, tensor, 64)
        self.refused(TypeError, "box[0] to be an int", make, tensor, (1.5, 64))
        self.refused(ValueError, "box[1] is -1", make, tensor, (1, -1))
        self.refused(ValueError, "make tensor map: box[0] is 257", make, tensor, (1, 257))
        self.refused(ValueError, "make tensor map: box[1] is 0", make, tensor, (0, 64))
        self.refused(ValueError, "element_strides[0] is 0", make, tensor, (1, 64),
                     element_strides=(0, 1))
        self.refused(ValueError, "swizzle_bytes to be one of 0, 32, 64, 128, got 16", make, tensor,
                     (1, 4), swizzle_bytes=16)
        self.refused(ValueError, "fill to be one of 'zero', 'nan', got 'one'", make, tensor, (1, 4),
                     fill="one")
        self.refused(ValueError, "1 to 5 dimensions", make,
                     InterfaceTensor(1, 1, 1, 1, 1, 64, dtype="float32"), (1,) * 6)
        self.refused(ValueError, "contiguous last dimension", make,
                     InterfaceTensor(10, 64, dtype="float32", strides=(1, 10)), (1, 64))
        self.refused(ValueError, "strides[0] (of dimension 1) is 260 bytes", make,
                     InterfaceTensor(10, 64, dtype="float32", strides=(65, 1)), (1, 64))
        self.refused(ValueError, "sizes[1] is 0", make, InterfaceTensor(0, 64, dtype="float32"),
                     (1, 64))
        self.refused(TypeError, "a CUDA tensor", make, [1, 2], (1, 1))


if __name__ == "__main__":
    unittest.main()
