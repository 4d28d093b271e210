"""Runtimes and kernels."""

import copy
import ctypes
import gc
import math
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import cubinet
from support import SOURCES, TestCase, WithTorch, driver

MERGE = {"HEAD_SIZE": 128, "INPUT_TYPE": "bf16"}


class Runtimes(TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.options = {"cache_dir": Path(self.folder.name, "cache"), "driver": driver.path,
                        "nvrtc": os.environ.get("CUBINET_NVRTC")}

    def test_a_kernel_is_compiled_once_and_then_on_disk(self):
        with cubinet.Runtime(**self.options) as runtime:
            self.assertIsNone(runtime.try_get_kernel("merge_attn_states", MERGE))
            kernel = runtime.get_kernel("merge_attn_states", MERGE)
            self.assertEqual(runtime.get_kernel("merge_attn_states", HEAD_SIZE=128,
                                                INPUT_TYPE="bf16"), kernel)
            self.assertEqual(runtime.stats().compiles, 1)
            self.assertEqual(runtime.stats().published, 1)
        with cubinet.Runtime(mode="frozen", **self.options) as runtime:
            kernel = runtime.get_kernel("merge_attn_states", MERGE)
            self.assertEqual(kernel.info.constants["HEAD_SIZE"], 128)
            self.assertIs(kernel.info.constants["USE_FP8_OUTPUT"], False)
            self.assertEqual(kernel.info.constants["INPUT_TYPE"], "bf16")
            self.assertEqual((runtime.stats().disk_hits, runtime.stats().compiles), (1, 0))
            error = self.refused(cubinet.FrozenMissError, "cubinet precompile", runtime.get_kernel,
                                 "merge_attn_states", MERGE, HAS_OUTPUT_LSE=True)
            self.assertIsInstance(error, LookupError)

    def test_sizes_choose_the_tunables(self):
        few = cubinet.get_kernel("merge_attn_states", MERGE, sizes={"num_tokens": 1})
        many = cubinet.get_kernel("merge_attn_states", MERGE, sizes={"num_tokens": 4096})
        self.assertNotEqual(few, many)
        self.assertNotEqual(few.info.constants["THREADS"], many.info.constants["THREADS"])

    def test_dtypes_of_torch_are_constants(self):
        with WithTorch() as torch:
            kernel = cubinet.get_kernel("merge_attn_states", HEAD_SIZE=128,
                                        INPUT_TYPE=torch.bfloat16)
        self.assertEqual(kernel, cubinet.get_kernel("merge_attn_states", MERGE))

    def test_precompile_needs_no_device(self):
        with cubinet.Runtime(**{**self.options, "driver": "/no/such/libcuda.so"}) as runtime:
            report = runtime.precompile("merge_attn_states", MERGE, arch="sm_90a")
            self.assertEqual((report.arch, report.hit, len(report.key)), ("sm_90a", False, 64))
            self.assertGreater(report.registers, 0)
            self.assertRegex(report.toolchain, "^nvrtc-1[23]")
            self.assertTrue(runtime.precompile("merge_attn_states", MERGE, arch="sm_90a").hit)
            self.refused(cubinet.NoDriverError, "/no/such/libcuda.so", runtime.get_kernel,
                         "merge_attn_states", MERGE)

    def test_prefetch_makes_the_kernel(self):
        with cubinet.Runtime(**self.options) as runtime:
            runtime.prefetch("merge_attn_states", MERGE)
            runtime.get_kernel("merge_attn_states", MERGE)
            self.assertEqual(runtime.stats().compiles, 1)
            self.refused(ValueError, "HEAD_SIZE", runtime.prefetch, "merge_attn_states",
                         INPUT_TYPE="bf16")

    def test_trying_returns_at_once_and_starts_the_kernel(self):
        with cubinet.Runtime(**self.options) as runtime:
            self.assertIsNone(runtime.try_get_kernel("merge_attn_states", MERGE))
            kernel = None
            while kernel is None:
                time.sleep(0.001)
                kernel = runtime.try_get_kernel("merge_attn_states", MERGE)
            self.assertEqual(runtime.get_kernel("merge_attn_states", MERGE), kernel)
            self.assertEqual(runtime.stats().compiles, 1)

    def test_lists_are_prefetched_and_warmed_up(self):
        kernels = [cubinet.KernelSpec("merge_attn_states", INPUT_TYPE="bf16", HEAD_SIZE=size)
                   for size in (64, 128, 256)]
        self.assertIn("HEAD_SIZE=64", repr(kernels[0]))
        lines = []
        with cubinet.Runtime(**self.options) as runtime:
            prefetch = runtime.prefetch_all(kernels[:1])
            report = prefetch.result(timeout=60)
            self.assertEqual(prefetch.result(timeout=float("inf")), report)
            self.assertTrue(prefetch.done() and report.ok)
            self.assertEqual((report.kernels, report.compiled), (1, 1))
            self.assertGreater(report.seconds, 0)
            report = runtime.warm_up(kernels, lambda *line: lines.append(line))
            self.assertEqual((report.in_memory, report.compiled), (1, 2))
            self.assertEqual([line[:2] for line in lines], [(1, 3), (2, 3), (3, 3)])
            self.assertEqual({line[3] for line in lines}, {"in_memory", "compiled"})
            self.refused(ValueError, "HEAD_SIZE", runtime.warm_up,
                         [cubinet.KernelSpec("merge_attn_states", INPUT_TYPE="bf16")])

            def interrupted(*_):
                raise KeyboardInterrupt()

            with self.assertRaises(KeyboardInterrupt):
                runtime.warm_up(kernels, interrupted)

    def test_a_recording_is_warmed_up(self):
        recording = Path(self.folder.name, "kernels.jsonl")
        recording.write_text(
            '{"template":"merge_attn_states","constants":{"HEAD_SIZE":128,"INPUT_TYPE":"bf16"}}\n'
            '{"template":"gone","constants":{}}\n')
        with cubinet.Runtime(**self.options) as runtime:
            report = runtime.warm_up(recording)
            self.assertEqual((report.kernels, report.compiled, report.failed), (2, 1, 1))
            (name, error), = report.failures
            self.assertEqual(name, "gone")
            self.assertIsInstance(error, cubinet.UnknownTemplateError)
            self.refused(OSError, "/no/such", runtime.warm_up, "/no/such/file")

    def test_errors_have_python_types_and_say_what_happened(self):
        get = cubinet.get_kernel
        self.refused(LookupError, "nothing_of_that_name", get, "nothing_of_that_name")
        error = self.refused(ValueError, "HEAD_SIZE=3", get, "merge_attn_states", HEAD_SIZE=3,
                             INPUT_TYPE="bf16")
        self.assertIsInstance(error, cubinet.InvalidArgumentError)
        self.assertEqual((error.code, error.log, error.reproduction), ("invalid_argument", "", ""))
        self.refused(ValueError, "num_tokens", get, "merge_attn_states", MERGE, num_tokens=4)
        self.refused(TypeError, "constant HEAD_SIZE", get, "merge_attn_states", HEAD_SIZE=1.5)
        self.refused(ValueError, "given twice", get, "merge_attn_states", MERGE, HEAD_SIZE=64)
        self.refused(ValueError, "beyond 64 bits", get, "merge_attn_states", HEAD_SIZE=1 << 70)
        self.refused(ValueError, "expected one of none, lineinfo, full", get, "merge_attn_states",
                     MERGE, debug="some")

    def test_a_compile_error_carries_the_log(self):
        template = Path(self.folder.name, "templates", "broken")
        template.mkdir(parents=True)
        source = SOURCES / "tests/consumer/kernel_templates/consumer_scale"
        if not source.exists():
            self.skipTest("no template beside the tests")
        for file in source.iterdir():
            text = file.read_text().replace("consumer_scale", "broken")
            name = file.name.replace("consumer_scale", "broken")
            broken = text + "\nint x = oops;\n" if name.endswith(".cuh") else text
            (template / name).write_text(broken)
        with cubinet.Runtime(**self.options) as runtime:
            runtime.add_templates(template.parent)
            error = self.refused(cubinet.CompileError, "broken", runtime.get_kernel, "broken",
                                 FACTOR=3)
            self.assertIn("oops", error.log)
            self.assertTrue(Path(error.reproduction).exists())
            self.refused(OSError, "/no/such", runtime.add_templates, "/no/such")

    def test_options_are_checked_by_name(self):
        self.refused(TypeError, "unexpected option 'colour'", cubinet.Runtime, colour=1)
        self.refused(ValueError, "auto, readonly, frozen", cubinet.Runtime, mode="sometimes")
        self.refused(TypeError, "sequence of paths", cubinet.Runtime, template_path="/a")
        self.refused(ValueError, "lock_timeout_ms", cubinet.Runtime, lock_timeout_ms=-1)
        self.refused(ValueError, "math.inf for no cap", cubinet.Runtime, max_cache_bytes=0)
        self.refused(ValueError, "warn, off, error", cubinet.Runtime, churn="loud")
        self.refused(ValueError, "1 or more", cubinet.Runtime, churn_limit=0)
        self.refused(ValueError, "recorded, off, on_miss", cubinet.Runtime, tuning="always")
        self.refused(ValueError, "milliseconds, 1 or more", cubinet.Runtime, tuning_budget_ms=0)
        self.refused(TypeError, "sequence of paths", cubinet.Runtime, tuning_files="/a")
        self.refused(ValueError, "0 for no floor", cubinet.Runtime, min_free_bytes=-1)

    def test_ever_new_signatures_are_refused_where_that_is_an_error(self):
        with cubinet.Runtime(**self.options, churn="error", churn_limit=1) as runtime:
            runtime.get_kernel("merge_attn_states", HEAD_SIZE=64, INPUT_TYPE="bf16")
            self.refused(cubinet.UnstableSignatureError, "HEAD_SIZE took 2 values",
                         runtime.get_kernel, "merge_attn_states", HEAD_SIZE=128, INPUT_TYPE="bf16")
            runtime.get_kernel("merge_attn_states", HEAD_SIZE=64, INPUT_TYPE="bf16")
            self.assertEqual(runtime.stats().churn_warnings, 1)
            self.assertEqual(runtime.stats().churn_refusals, 1)

    def test_a_cap_on_the_cache_is_kept(self):
        for cap in (1, math.inf):
            cache = Path(self.folder.name, str(cap))
            with cubinet.Runtime(**{**self.options, "cache_dir": cache}, max_cache_bytes=cap,
                                 min_free_bytes=0) as runtime:
                for size in (64, 128, 256):
                    runtime.get_kernel("merge_attn_states", HEAD_SIZE=size, INPUT_TYPE="bf16")
                deadline = time.monotonic() + 10
                while cap == 1 and runtime.stats().evicted == 0 and time.monotonic() < deadline:
                    time.sleep(0.01)  # in the background
                self.assertEqual(runtime.stats().evicted > 0, cap == 1)

    def test_log_lines_arrive(self):
        lines = []
        with cubinet.Runtime(template_path=["/no/such/templates"], lock_timeout_ms=0,
                             log=lambda *line: lines.append(line), **self.options):
            gc.collect()
        self.assertEqual([level for level, _ in lines], ["warning"])
        self.assertIn("/no/such/templates", lines[0][1])

    def test_no_line_arrives_when_python_ends(self):
        script = """if True:
            import atexit, cubinet
            lines = []
            def make():
                cubinet.Runtime(template_path=["/no/such"], memory_only=True,
                                log=lambda *line: lines.append(line))
            make()
            assert len(lines) == 1, lines
            atexit._run_exitfuncs()  # as the interpreter does, before it goes
            make()
            assert len(lines) == 1, lines
            """
        subprocess.run([sys.executable, "-c", script], check=True)

    def test_from_environment_takes_what_is_not_given(self):
        os.environ["CUBINET_MODE"] = "frozen"
        self.addCleanup(os.environ.pop, "CUBINET_MODE")
        with cubinet.Runtime.from_environment(cache_dir=self.folder.name) as runtime:
            with self.assertRaises(cubinet.FrozenMissError):
                runtime.get_kernel("merge_attn_states", MERGE)

    def test_what_is_closed_is_refused(self):
        runtime = cubinet.Runtime(**self.options)
        kernel = runtime.get_kernel("merge_attn_states", MERGE)
        runtime.close()
        runtime.close()
        for call in (runtime.stats, kernel.prepare, lambda: kernel.launch(1, 1, b"")):
            self.refused(ValueError, "it is closed", call)
        cubinet.shared_runtime().close()
        cubinet.stats()

    def test_the_current_device_is_told(self):
        self.assertEqual(cubinet.shared_runtime().current_device(), 0)
        driver.use(1)
        self.assertEqual(cubinet.shared_runtime().current_device(), 1)

    def test_many_threads_get_one_kernel(self):
        with cubinet.Runtime(**self.options) as runtime:
            found = []
            threads = [threading.Thread(target=lambda: found.append(
                runtime.get_kernel("merge_attn_states", MERGE, device=0))) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len(found), 8)
            self.assertEqual(len(set(found)), 1)
            self.assertEqual(runtime.stats().compiles, 1)


class Launches(TestCase):
    def setUp(self):
        super().setUp()
        self.kernel = cubinet.get_kernel("merge_attn_states", MERGE)
        self.bytes = bytes(range(self.kernel.info.params_bytes))

    def test_everything_reaches_the_driver(self):
        before = driver.launches()
        self.kernel.launch((3, 2), 64, self.bytes, stream=0x77, smem_bytes=100_000,
                           cluster=(1, 2, 1), programmatic_dependent=True)
        launch = driver.last()
        self.assertEqual(driver.launches(), before + 1)
        self.assertEqual((list(launch.grid), list(launch.block), list(launch.cluster)),
                         ([3, 2, 1], [64, 1, 1], [1, 2, 1]))
        self.assertEqual((launch.smem_bytes, launch.stream, launch.programmatic),
                         (100_000, 0x77, 1))
        self.assertEqual(bytes(launch.params[:launch.params_bytes]), self.bytes)
        self.assertEqual(launch.symbol.decode(), self.kernel.info.symbol)

    def test_params_may_be_a_struct_or_any_bytes(self):
        class Params(ctypes.Structure):
            _fields_ = [("bytes", ctypes.c_ubyte * len(self.bytes))]

        for params in (Params.from_buffer_copy(self.bytes), bytearray(self.bytes),
                       memoryview(self.bytes)):
            self.kernel.launch(1, 32, params)
            self.assertEqual(bytes(driver.last().params[:len(self.bytes)]), self.bytes)
            self.assertIsNone(driver.last().stream)

    def test_the_current_stream_of_torch_is_taken(self):
        with WithTorch() as torch:
            self.kernel.launch(1, 32, self.bytes)
            self.assertEqual(driver.last().stream, torch.streams[0])

    def test_what_cannot_be_right_is_refused(self):
        launch = self.kernel.launch
        self.refused(ValueError, "the Params given have 3 bytes", launch, 1, 32, b"abc")
        self.refused(TypeError, "ctypes.Structure or bytes, got float", launch, 1, 32, 1.5)
        self.refused(ValueError, "grid is 0", launch, 0, 32, self.bytes)
        self.refused(ValueError, "block is -1", launch, 1, (32, -1), self.bytes)
        self.refused(ValueError, "threads, the kernel takes 1 to", launch, 1, 2048, self.bytes)
        self.refused(TypeError, "1 to 3 ints", launch, (1, 1, 1, 1), 32, self.bytes)
        self.refused(ValueError, "smem_bytes is -1", launch, 1, 32, self.bytes, smem_bytes=-1)
        self.refused(TypeError, "expected stream to be", launch, 1, 32, self.bytes, stream="no")

    def test_integers_of_other_libraries_are_taken(self):
        class Integer:  # as numpy.int64
            def __init__(self, value):
                self.value = value

            def __index__(self):
                return self.value

        self.kernel.launch(Integer(3), (Integer(64), 2), self.bytes, smem_bytes=Integer(16))
        launch = driver.last()
        self.assertEqual((list(launch.grid), list(launch.block), launch.smem_bytes),
                         ([3, 1, 1], [64, 2, 1], 16))
        cubinet.get_kernel("merge_attn_states", MERGE, {"num_tokens": Integer(5)},
                           device=Integer(0))

    def test_nothing_is_cut_to_size(self):
        launch = self.kernel.launch
        self.refused(TypeError, "grid to be an int, got float", launch, 1.5, 32, self.bytes)
        self.refused(TypeError, "grid to be an int, got bool", launch, True, 32, self.bytes)
        self.refused(TypeError, "smem_bytes to be an int", launch, 1, 32, self.bytes,
                     smem_bytes=1.5)
        self.refused(ValueError, "handle of CUDA, got -1", launch, 1, 32, self.bytes, stream=-1)
        get = cubinet.get_kernel
        self.refused(ValueError, "num_tokens is 18446744073709551617", get, "merge_attn_states",
                     MERGE, {"num_tokens": (1 << 64) + 1})
        self.refused(TypeError, "num_tokens to be an int, got bool", get, "merge_attn_states",
                     MERGE, {"num_tokens": True})
        self.refused(ValueError, "device is 4294967296", get, "merge_attn_states", MERGE,
                     device=1 << 32)
        self.refused(TypeError, "device to be an int, got str", get, "merge_attn_states", MERGE,
                     device="cuda:0")
        self.refused(ValueError, "leave out the NUL", get, "merge_attn_states\0more", MERGE)
        self.refused(ValueError, "leave out the NUL", get, "merge_attn_states",
                     {**MERGE, "THREADS\0": 128})
        self.refused(TypeError, "name to be a str, got bytes", get, b"merge_attn_states", MERGE)

    def test_handles_do_not_leave_the_process(self):
        for handle in (self.kernel, cubinet.shared_runtime()):
            for leave in (pickle.dumps, copy.copy, copy.deepcopy):
                self.refused(TypeError, "cannot be copied or pickled", leave, handle)

    def test_a_kernel_of_a_closed_runtime_can_be_printed(self):
        runtime = cubinet.Runtime(driver=driver.path, memory_only=True)
        kernel = runtime.get_kernel("merge_attn_states", MERGE)
        runtime.close()
        self.assertEqual(repr(kernel), "<cubinet.Kernel of a closed Runtime>")

    def test_occupancy_and_readiness(self):
        self.kernel.prepare()
        self.assertEqual(self.kernel.max_active_blocks(64), 32)
        self.assertIn("merge_attn_states[", repr(self.kernel))


if __name__ == "__main__":
    unittest.main()
