#!/usr/bin/env python3
"""merge_attn_states through Python against a float64 reference, on a GPU with torch.

usage: PYTHONPATH=tools/python CUBINET_LIBRARY=build/portable/lib/libcubinet.so \\
           python3 tests/python/merge_attn_states_grid.py [--quick] [--seed N]

Runs vLLM's public parameter grid of 972 cases (648 plain, 324 to FP8), each with all tokens in
context and with 128 of them; then tensors by way of __cuda_array_interface__, DLPack and CuPy,
padded heads, streams, CUDA graphs, scales of groups, and controls that must be caught. Every case is
judged by vLLM's tolerances and by the strict ones: fp32 within 1e-6 + 4 ulp, 16 bits within 1 ulp
and 99 % identical, FP8 within one code and 99.5 % identical, LSE within 2e-6.
Exit codes: 0 all fine, 1 failures, 2 no torch or no GPU.
"""

import argparse
import itertools
import sys
import time

try:
    import torch
except ImportError:
    print("merge grid: NOT RUN: this python3 has no torch")
    sys.exit(2)

import cubinet
from cubinet.kernels import merge_attn_states
from merge_attn_states_judge import Case, Guarded, Tally, judge, make_inputs, reference

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
TOKENS, HEADS, SIZES = (256, 512, 613, 1024, 1536, 4096), (4, 8, 16, 32, 48, 64), (
    32, 48, 64, 96, 128, 256)
FP8_TOKENS, FP8_HEADS, FP8_SIZES = (256, 613, 4096), (4, 16, 64), (32, 128, 256)


def grid():
    """The 972 cases."""
    for tokens, heads, size, dtype in itertools.product(TOKENS, HEADS, SIZES, DTYPES):
        yield Case(tokens, heads, size, dtype)
    for tokens, heads, size, dtype, scale, lse in itertools.product(
            FP8_TOKENS, FP8_HEADS, FP8_SIZES, DTYPES, (0.5, 0.05), (True, False)):
        yield Case(tokens, heads, size, dtype, scale=scale, lse=lse)


def run(case, inputs, wrap=lambda tensor: tensor, **more):
    """Merges into poisoned, guarded outputs. Returns them: (output, output_lse)."""
    output = Guarded((case.tokens, case.heads, case.size), case.output_dtype)
    lse = Guarded((case.heads, case.tokens), torch.float32) if case.lse else None
    scale = torch.tensor([case.scale], device="cuda") if case.scale else None
    given = [output.tensor, *inputs, lse.tensor if lse else None]
    merge_attn_states(*(None if tensor is None else wrap(tensor) for tensor in given),
                      prefill_tokens_with_context=case.context,
                      output_scale=None if scale is None else wrap(scale), **more)
    return output, lse


def run_grid(tally, quick, seed):
    for index, plain in enumerate(grid()):
        if quick and index % 20:
            continue
        for context in (None, 128):
            case = plain.with_context(context)
            inputs = make_inputs(case, seed + index)
            tally.add(judge(case, run(case, inputs), reference(case, inputs)), case)


class Interface:
    """A tensor that shows __cuda_array_interface__ alone; 8-bit floats as their bits."""

    def __init__(self, tensor):
        self.dtype = str(tensor.dtype).rpartition(".")[2]
        typestr = {"float32": "<f4", "float16": "<f2", "bfloat16": "<V2", "float8_e4m3fn": "|V1"}
        item = tensor.element_size()
        self.__cuda_array_interface__ = {
            "shape": tuple(tensor.shape), "typestr": typestr[self.dtype], "version": 3,
            "data": (tensor.data_ptr(), False), "strides": tuple(s * item for s in tensor.stride())}


class Dlpack:
    """A tensor that shows __dlpack__ alone; 8-bit floats as their bits."""

    def __init__(self, tensor):
        bits = tensor.dtype == torch.float8_e4m3fn
        self.tensor = tensor.view(torch.uint8) if bits else tensor

    def __dlpack__(self, stream=None):
        return self.tensor.__dlpack__(stream=stream)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()


def some_cases():
    for dtype, scale in itertools.product(DTYPES, (None, 0.05)):
        yield Case(613, 16, 128, dtype, scale=scale, context=600)


def run_ways(tally, seed):
    """The same operands shown in other ways give the same bits."""
    ways = [("cuda_array_interface", Interface), ("dlpack", Dlpack)]
    try:
        import cupy
        ways.append(("cupy", lambda tensor: cupy.from_dlpack(tensor)))
    except ImportError:
        print("merge grid: CuPy is not installed; its own arrays were not tried")
    for (name, wrap), case in itertools.product(ways, some_cases()):
        eight_bits = case.scale is not None
        if name == "cupy" and (eight_bits or case.dtype == torch.bfloat16):
            continue  # CuPy has neither dtype of its own everywhere
        inputs = make_inputs(case, seed)
        verdict = judge(case, run(case, inputs, wrap), reference(case, inputs))
        tally.add(verdict, f"{case} by way of {name}")


def run_padded(tally, seed):
    """Heads cut from wider ones, as a padded V leaves them."""
    for case in some_cases():
        prefix, prefix_lse, suffix, suffix_lse = make_inputs(case, seed)
        wide = [torch.full((case.tokens, case.heads, 192), float("nan"), dtype=case.dtype,
                           device="cuda") for _ in range(2)]
        cut = [tensor[..., :case.size] for tensor in wide]
        for to, source in zip(cut, (prefix, suffix)):
            to.copy_(source)
        inputs = (cut[0], prefix_lse, cut[1], suffix_lse)
        tally.add(judge(case, run(case, inputs), reference(case, inputs)), f"{case} padded")


def run_streams_and_graphs(tally, seed):
    for case in (*some_cases(), Case(300, 5, 72, torch.float16)):  # the last is new when captured
        new = make_inputs(case, seed + 1)
        inputs = tuple(torch.zeros_like(tensor) for tensor in new)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            torch.cuda._sleep(20_000_000)  # a wrong stream would read zeros
            for tensor, value in zip(inputs, new):
                tensor.copy_(value)
            results = run(case, inputs) if case.size != 72 else None
        torch.cuda.synchronize()
        if results is not None:
            tally.add(judge(case, results, reference(case, new)), f"{case} on a stream")
        graph = torch.cuda.CUDAGraph()
        static = tuple(torch.zeros_like(tensor) for tensor in new)
        scale = torch.tensor([case.scale or 1.0], device="cuda")
        output = Guarded((case.tokens, case.heads, case.size), case.output_dtype)
        lse = Guarded((case.heads, case.tokens), torch.float32)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            merge_attn_states(output.tensor, *static, lse.tensor, case.context,
                              scale if case.scale else None)
        untouched = output.is_poison()
        for tensor, value in zip(static, new):
            tensor.copy_(value)
        graph.replay()
        torch.cuda.synchronize()
        tally.add(judge(case, (output, lse), reference(case, new)), f"{case} in a graph")
        tally.expect(untouched, f"{case}: capture alone writes nothing")


def run_groups(tally, seed):
    """Scales of groups, in three layouts, rounded to powers of two or not."""
    for group, layout, ue8m0, dtype in itertools.product(
            (64, 128), ("row", "column", "aligned"), (False, True), DTYPES):
        case = Case(257, 6, 128, dtype, scale=1.0, context=200)
        inputs = make_inputs(case, seed)
        per_token = case.heads * case.size // group
        columns = -(-case.tokens // 4) * 4 if layout == "aligned" else case.tokens
        memory = Guarded((case.tokens, per_token) if layout == "row" else (per_token, columns),
                         torch.float32)
        scales = memory.tensor if layout == "row" else memory.tensor[:, :case.tokens].t()
        output = Guarded((case.tokens, case.heads, case.size), torch.float8_e4m3fn)
        merge_attn_states(output.tensor, *inputs, prefill_tokens_with_context=case.context,
                          output_group_scales=scales, use_ue8m0_scales=ue8m0)
        merged = reference(case, inputs).merged.reshape(case.tokens, per_token, group)
        wanted = merged.abs().amax(-1).clamp(min=1e-10) / 448
        if ue8m0:
            mantissa, _ = torch.frexp(scales)
            fits = bool(((mantissa == 0.5) & (scales >= wanted * (1 - 1e-5)) &
                         (scales <= wanted * 2 * (1 + 1e-5))).all())
        else:
            fits = bool(((scales - wanted).abs() <= 1e-5 * wanted).all())
        merged_shape = (case.tokens, case.heads, case.size)
        text = f"{case} in groups of {group}, {layout}, ue8m0 {ue8m0}"
        tally.expect(fits and memory.intact(), f"{text}: scales")
        tally.add(judge(case, (output, None), reference(case, inputs),
                        scales.repeat_interleave(group, -1).view(merged_shape)), text)


def run_refusals(tally):
    case = Case(16, 4, 64, torch.bfloat16)
    prefix, prefix_lse, suffix, suffix_lse = make_inputs(case, 0)
    output = torch.empty_like(prefix)
    rows = [
        (ValueError, (output[:8], prefix, prefix_lse, suffix, suffix_lse)),
        (ValueError, (output, prefix, prefix_lse.t().contiguous(), suffix, suffix_lse)),
        (ValueError, (prefix, prefix, prefix_lse, suffix, suffix_lse)),
        (ValueError, (output, prefix.cpu(), prefix_lse, suffix, suffix_lse)),
        (ValueError, (output, prefix.clone().requires_grad_(), prefix_lse, suffix, suffix_lse)),
        (ValueError, (output, prefix.transpose(0, 1).contiguous().transpose(0, 1), prefix_lse,
                      suffix, suffix_lse)),
        (TypeError, (output, prefix, prefix_lse.double(), suffix, suffix_lse)),
        (TypeError, (output, prefix, prefix_lse, suffix.half(), suffix_lse)),
        (TypeError, (output.float(), prefix, prefix_lse, suffix, suffix_lse)),
    ]
    for index, (kind, arguments) in enumerate(rows):
        try:
            merge_attn_states(*arguments)
            tally.expect(False, f"refusal {index} was none")
        except kind:
            tally.expect(True, "")
    with torch.no_grad():
        merge_attn_states(output, prefix.clone().requires_grad_(), prefix_lse, suffix, suffix_lse)
    merge_attn_states(output[:0], prefix[:0], prefix_lse[:, :0], suffix[:0], suffix_lse[:, :0])
    if torch.cuda.device_count() > 1:
        moved = [tensor.to("cuda:1") for tensor in (prefix, prefix_lse, suffix, suffix_lse)]
        there = torch.empty_like(moved[0])
        merge_attn_states(there, *moved)
        merge_attn_states(output, prefix, prefix_lse, suffix, suffix_lse)
        tally.expect(torch.equal(there.cpu(), output.cpu()) and torch.cuda.current_device() == 0,
                     "a merge on another device")
    else:
        print("merge grid: one GPU here; tensors on a second one were not tried")


def run_controls(seed):
    """What is wrong must be caught. Returns what was not."""
    missed = []
    for case in some_cases():
        prefix, prefix_lse, suffix, suffix_lse = make_inputs(case, seed)
        right = reference(case, (prefix, prefix_lse, suffix, suffix_lse))
        wrong = run(case, (prefix, -prefix_lse, suffix, -suffix_lse))
        verdict = judge(case, wrong, right)
        if not (verdict.strict and verdict.upstream):
            missed.append(f"{case}: a wrong sign of the LSEs")
        output, lse = run(case, (prefix, prefix_lse, suffix, suffix_lse))
        if case.output_dtype == torch.float32:
            output.tensor.view(-1)[7] += 1e-4
        else:
            bits = output.tensor.view(torch.uint8 if case.scale else torch.int16).view(-1)
            bits[7] = bits[7] + 3
        if not judge(case, (output, lse), right).strict:
            missed.append(f"{case}: one element a few steps off")
        output, lse = run(case, (prefix, prefix_lse, suffix, suffix_lse))
        output.memory[3] = 0
        if not judge(case, (output, lse), right).strict:
            missed.append(f"{case}: a byte before the output")
    return missed


def host_time_us():
    """Host time per call, in a stream that keeps up: (this call, torch.add with out=)."""
    case = Case(1, 8, 128, torch.bfloat16)
    inputs = make_inputs(case, 0)
    output = torch.empty_like(inputs[0])
    calls = (lambda: merge_attn_states(output, *inputs),
             lambda: torch.add(inputs[0], inputs[2], out=output))
    times = []
    for call in calls:
        best = float("inf")
        for _ in range(50):
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(100):
                call()
            best = min(best, time.perf_counter() - start)
        times.append(best * 1e4)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="every twentieth case of the grid")
    parser.add_argument("--seed", type=int, default=20250101)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("merge grid: NOT RUN: torch finds no GPU")
        sys.exit(2)
    start = time.monotonic()
    print(f"merge grid: {torch.cuda.get_device_name()}, torch {torch.__version__}, cubinet "
          f"{cubinet.__version__} from {cubinet.LIBRARY_PATH}, seed {options.seed}")
    tally = Tally()
    run_grid(tally, options.quick, options.seed)
    print(f"merge grid: {tally.count} runs of the grid in {time.monotonic() - start:.0f} s")
    for part in (run_ways, run_padded, run_streams_and_graphs, run_groups):
        before = tally.count
        part(tally, options.seed)
        print(f"merge grid: {part.__name__}: {tally.count - before} checks")
    run_refusals(tally)
    missed = run_controls(options.seed)
    for text in missed:
        print(f"merge grid: NOT CAUGHT: {text}")
    tally.print()
    ours, torchs = host_time_us()
    print(f"merge grid: host time per call {ours:.2f} us; torch.add(out=) {torchs:.2f} us")
    fine = not tally.failures and not missed
    print(f"merge grid: {tally.count} checks, {len(tally.failures)} failed, {len(missed)} controls "
          f"not caught, {time.monotonic() - start:.0f} s")
    print("OK" if fine else "FAILED")
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
