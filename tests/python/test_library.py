"""Finding the library, and the mirror of its header."""

import ctypes
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import cubinet
from cubinet import _errors, _library
from support import SOURCES

HEADERS = [SOURCES / "include/jit" / name
           for name in ("c_values.h", "c.h", "tensor_map.h", "kernels/fp8_attention.h",
                        "kernels/merge_attn_states.h", "kernels/mla_prefill.h",
                        "kernels/mqa_logits.h",
                        "kernels/paged_mqa_logits.h", "kernels/paged_mqa_logits_metadata.h")]
SCALARS = {"size_t": ctypes.c_size_t, "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32,
           "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64, "double": ctypes.c_double,
           "float": ctypes.c_float,
           "cubinet_dim3": ctypes.c_uint32 * 3}


def header():
    text = "".join(path.read_text() for path in HEADERS)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def import_with(**environment):
    """What a fresh interpreter says on `import cubinet`."""
    result = subprocess.run(
        [sys.executable, "-c", "import cubinet; print(cubinet.LIBRARY_PATH)"], text=True,
        env={**os.environ, **environment}, capture_output=True, check=False)
    return result.stdout + result.stderr


class Library(unittest.TestCase):
    def test_version_is_the_librarys(self):
        self.assertRegex(cubinet.__version__, r"^\d+\.\d+\.\d+$")

    def test_the_library_named_is_the_one_taken(self):
        self.assertEqual(import_with(CUBINET_LIBRARY=cubinet.LIBRARY_PATH).strip(),
                         cubinet.LIBRARY_PATH)

    def test_a_missing_library_says_what_to_do(self):
        text = import_with(CUBINET_LIBRARY="/no/such/libcubinet.so")
        self.assertIn("ImportError: load libcubinet.so: not found or not loadable; install", text)
        self.assertIn("/no/such/libcubinet.so: no such file", text)

    def test_another_library_is_refused(self):
        text = import_with(CUBINET_LIBRARY=os.environ["CUBINET_DRIVER"])
        self.assertIn("it has no C interface", text)

    def test_a_library_of_another_c_abi_is_refused(self):
        compiler = os.environ.get("CXX", "c++")
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder, "other.c"), Path(folder, "other.so")
            source.write_text("unsigned cubinet_c_abi_version(void) { return 2; }\n")
            try:
                subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", str(source), "-o",
                                str(library)], check=True)
            except FileNotFoundError:
                self.skipTest(f"no compiler {compiler}")
            text = import_with(CUBINET_LIBRARY=str(library))
        self.assertIn("its C interface has version 2, this package needs 1", text)


@unittest.skipUnless(HEADERS[0].exists(), "no header beside the tests")
class Mirror(unittest.TestCase):
    def test_every_function_is_declared_with_its_parameters(self):
        declared = {}
        for result, name, parameters in re.findall(
                r"CUBINET_API\s+([\w* ]+?)\s*(cubinet_\w+)\(([^)]*)\)", header()):
            count = 0 if parameters.strip() == "void" else parameters.count(",") + 1
            declared[name] = (result.strip(), count)
        self.assertEqual(set(declared), set(_library.FUNCTIONS))
        for name, (result, count) in declared.items():
            kind, parameters = _library.FUNCTIONS[name]
            self.assertEqual(len(parameters), count, name)
            expected = {"void": None, "const char*": ctypes.c_char_p, "uint32_t": ctypes.c_uint32,
                        "cubinet_status": ctypes.c_int32}[result]
            self.assertIs(kind, expected, name)

    def test_every_struct_has_the_fields_of_the_header(self):
        structs = re.findall(r"typedef struct (cubinet_\w+) \{(.*?)\} \1;", header(), re.DOTALL)
        self.assertEqual(len(structs), 19)
        enums = set(re.findall(r"typedef int32_t (cubinet_\w+);", header()))
        for name, body in structs:
            if name == "cubinet_dim3":
                continue
            mirror = getattr(_library, "".join(
                word.capitalize() for word in name[len("cubinet_"):].split("_")))
            body = re.sub(r"__attribute__\(\(\w+\(\d+\)\)\)", "", body)
            fields = re.findall(r"([\w* ]+?)\s*(\w+)(?:\[(\d+)\])?\s*;", body)
            self.assertEqual([field[0] for field in mirror._fields_],
                             [field for _, field, _ in fields], name)
            for (kind, field, count), (_, mirrored) in zip(fields, mirror._fields_):
                kind = kind.strip()
                if "*" in kind or kind in ("cubinet_stream", "cubinet_log_function"):
                    self.assertEqual(ctypes.sizeof(mirrored), 8, f"{name}.{field}")
                else:
                    expected = ctypes.c_int32 if kind in enums else SCALARS[kind]
                    expected = expected * int(count) if count else expected
                    self.assertEqual(mirrored, expected, f"{name}.{field}")

    def test_every_number_is_the_headers(self):
        values = {name: int(value) for name, value in
                  re.findall(r"(CUBINET_\w+) = (\d+)", header())}
        self.assertIn(f"#define CUBINET_C_ABI_VERSION {_library.C_ABI_VERSION}\n", header())
        from cubinet import _dtypes, _request, _runtime
        for number, name in _dtypes.NAMES.items():
            self.assertEqual(values["CUBINET_" + name.upper()], number)
        for prefix, numbers in (("MODE", _runtime.MODES), ("TOOLCHAIN", _runtime.TOOLCHAINS),
                                ("LOG", _runtime.LOG_LEVELS), ("DEBUG", _request.DEBUG)):
            for name, number in numbers.items():
                self.assertEqual(values[f"CUBINET_{prefix}_{name.upper()}"], number)
        for code in _errors._CLASSES:
            number = values["CUBINET_" + code.upper()]
            self.assertEqual(_library.C.cubinet_status_name(number).decode(), code)

    def test_packed_arguments_are_the_struct(self):
        from cubinet import _fp8_attention, _kernel, _mla_prefill, _mqa_logits, _paged_mqa_logits
        from cubinet import _paged_mqa_logits_metadata, kernels
        self.assertEqual(_kernel._CONFIG.size, ctypes.sizeof(_library.LaunchConfig))
        launch = _library.LaunchConfig.from_buffer_copy(_kernel._CONFIG.pack(*range(1, 15)))
        self.assertEqual((launch.stream, list(launch.grid), list(launch.block),
                          list(launch.cluster), launch.smem_bytes, launch.programmatic_dependent),
                         (2, [3, 4, 5], [6, 7, 8], [9, 10, 11], 12, 13))
        for packed, mirror in ((kernels._ARGS, _library.MergeAttnStatesArgs),
                               (_fp8_attention._ARGS, _library.Fp8AttentionArgs),
                               (_mla_prefill._ARGS, _library.MlaPrefillArgs),
                               (_mla_prefill._CHUNK, _library.MlaContextChunk),
                               (_mqa_logits._ARGS, _library.MqaLogitsArgs),
                               (_paged_mqa_logits._ARGS, _library.PagedMqaLogitsArgs),
                               (_paged_mqa_logits_metadata._ARGS,
                                _library.PagedMqaLogitsMetadataArgs)):
            self.assertEqual(packed.size, ctypes.sizeof(mirror))
            read = mirror.from_buffer_copy(packed.pack(*range(1, 1 + len(mirror._fields_))))
            for value, (field, _) in enumerate(mirror._fields_, 1):
                self.assertEqual(getattr(read, field), value, field)


if __name__ == "__main__":
    unittest.main()
