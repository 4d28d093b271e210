#!/usr/bin/env python3
"""fp8_attention through Python against float64, on a GPU, with nothing but its driver.

usage: PYTHONPATH=tools/python CUBINET_LIBRARY=build/portable/lib/libcubinet.so \\
           python3 tests/python/fp8_attention_device.py [--seed N]

Prefill of slices of one projection, with descales, into padded outputs; decode from pages, whole, in
parts and to FP8, and by a graph that is replayed; what lies beyond the keys is NaN; and controls
that must be caught. With torch also what torch makes: outputs, and workspaces that belong to graphs.
Exit codes: 0 all fine, 1 failures, 2 no GPU of compute capability 9.0.
"""

import argparse
import math
import random
import sys

from cubinet.kernels import fp8_attention, fp8_attention_workspace_bytes
from device_memory import Array, Gpu, e4m3_of, of_bf16, of_e4m3

HEADS, KV_HEADS, DIM = 8, 2, 64
GROUP = HEADS // KV_HEADS
LENGTHS = (1, 30, 0, 260)  # of prefill
CACHED = (1, 97, 700)  # of decode
PAGE = 16
NAN = 0x7F
OUT_SCALE = 0.02


def normal_codes(count, mean=0.0):
    return [e4m3_of(random.gauss(mean, 1)) for _ in range(count)]


def values_of(codes):
    return [of_e4m3(code) for code in codes]


class Expected:
    """What one token of one head must be: elements, LSE, and how far off each element may be."""

    def __init__(self, query, keys, values, factors):
        """factors: of scores and of values."""
        scores = [factors[0] * sum(map(float.__mul__, query, key)) for key in keys]
        top = max(scores)
        weights = [math.exp(score - top) for score in scores]
        total = sum(weights)
        columns = list(zip(*values))
        self.lse = top + math.log(total)
        self.elements, self.allowed = [], []
        for column in columns:
            sizes = list(map(abs, column))
            size = factors[1] * sum(map(float.__mul__, weights, sizes)) / total
            element = factors[1] * sum(map(float.__mul__, weights, column)) / total
            self.elements.append(element)
            # Weights are e4m3 with a floor of 2^-18 of the largest; sums keep 13 bits.
            self.allowed.append((2.0**-4 + 4e-3) * size + abs(element) / 256 +
                                2.0**-18 * factors[1] * sum(sizes) / total)

    def wrong(self, found, lse, rounding):
        """How many of its numbers are wrong. rounding: of an element to what it is stored as."""
        count = not abs(lse - self.lse) <= 1e-3
        for element, got, allowed in zip(self.elements, found, self.allowed):
            count += not abs(got - element) <= allowed + rounding(element)
        return count


def relative_error(expected, found):
    """In the L2 norm, over all elements."""
    pairs = [(element, got) for key, row in expected.items()
             for element, got in zip(row.elements, found(*key))]
    return math.sqrt(sum((got - element)**2 for element, got in pairs) /
                     sum(element**2 for element, _ in pairs))


def no_rounding(_):
    return 0.0


def e4m3_rounding(element):
    size = min(abs(element) / OUT_SCALE, 448.0)
    return OUT_SCALE * 2.0**(max(math.frexp(size)[1] - 1, -6) - 4 if size else -10)


class Judge:
    """Says what is fine, and counts what is not."""

    def __init__(self, gpu):
        self.gpu, self.failures = gpu, 0

    def says(self, what, fine):
        self.failures += not fine
        print(f"fp8_attention: {what}: {'fine' if fine else 'WRONG'}")

    def judge(self, what, expected, found, lses, rounding=no_rounding):
        """found, lses: (token, head) -> its elements, its LSE."""
        wrong = sum(row.wrong(found(*key), lses(*key), rounding) for key, row in expected.items())
        error = relative_error(expected, found)
        most = 3.5e-2 if rounding is no_rounding else 5e-2
        print(f"fp8_attention: {what}: relative error {error:.4f}, {wrong} elements beyond bounds")
        self.says(what, wrong == 0 and error <= most)


class Prefill:
    """Queries, keys and values side by side, as a projection leaves them."""

    def __init__(self, gpu):
        self.tokens = sum(LENGTHS)
        self.ends = [sum(LENGTHS[:count]) for count in range(len(LENGTHS) + 1)]
        self.width = HEADS + 2 * KV_HEADS
        codes = normal_codes(self.tokens * self.width * DIM)
        self.values = values_of(codes)
        whole = Array(gpu, (self.tokens, self.width, DIM), "float8_e4m3fn", codes)
        self.descales = {name: [random.uniform(0.5, 1.5) for _ in range(len(LENGTHS) * KV_HEADS)]
                         for name in ("q_descale", "k_descale", "v_descale")}
        self.operands = {
            "q": whole[:, :HEADS], "k": whole[:, HEADS:HEADS + KV_HEADS],
            "v": whole[:, HEADS + KV_HEADS:],
            "cu_seqlens_q": Array(gpu, (len(self.ends),), "int32", self.ends),
            **{name: Array(gpu, (len(LENGTHS), KV_HEADS), "float32", values)
               for name, values in self.descales.items()}}

    def row(self, token, slot):
        at = (token * self.width + slot) * DIM
        return self.values[at:at + DIM]

    def expected(self, causal=True):
        """Of some tokens and all their heads."""
        found = {}
        for sequence, (first, end) in enumerate(zip(self.ends, self.ends[1:])):
            for token in range(first, end, 1 if end - first < 50 else 37):
                for head in range(HEADS):
                    key_head = head // GROUP
                    factors = [values[sequence * KV_HEADS + key_head]
                               for values in self.descales.values()]
                    seen = range(first, token + 1 if causal else end)
                    found[token, head] = Expected(
                        self.row(token, head), [self.row(key, HEADS + key_head) for key in seen],
                        [self.row(key, HEADS + KV_HEADS + key_head) for key in seen],
                        (DIM**-0.5 * factors[0] * factors[1], factors[2]))
        return found


class Decode:
    """One token of each sequence, and a cache in pages that lie anywhere; the rest is NaN."""

    def __init__(self, gpu):
        most = -(-max(CACHED) // PAGE)
        count = sum(-(-length // PAGE) for length in CACHED)
        numbers = random.sample(range(count + 3), count)
        tables, codes = [], {"k": [NAN] * (count + 3) * PAGE * KV_HEADS * DIM,
                             "v": [NAN] * (count + 3) * PAGE * KV_HEADS * DIM}
        self.keys = {"k": [], "v": []}  # by sequence, token and head
        for length in CACHED:
            pages = [numbers.pop() for _ in range(-(-length // PAGE))]
            tables += pages + [0x7FFFFFFF] * (most - len(pages))
            for name in "kv":
                rows = []
                for token in range(length):
                    new = normal_codes(KV_HEADS * DIM, 0.5 if name == "v" else 0.0)
                    at = (pages[token // PAGE] * PAGE + token % PAGE) * KV_HEADS * DIM
                    codes[name][at:at + KV_HEADS * DIM] = new
                    rows.append([values_of(new[head * DIM:][:DIM]) for head in range(KV_HEADS)])
                self.keys[name].append(rows)
        query = normal_codes(len(CACHED) * HEADS * DIM)
        self.query = values_of(query)
        self.operands = {
            "q": Array(gpu, (len(CACHED), HEADS, DIM), "float8_e4m3fn", query),
            **{name: Array(gpu, (count + 3, PAGE, KV_HEADS, DIM), "float8_e4m3fn", codes[name])
               for name in "kv"},
            "cu_seqlens_q": Array(gpu, (len(CACHED) + 1,), "int32", range(len(CACHED) + 1)),
            "seqused_k": Array(gpu, (len(CACHED),), "int32", CACHED),
            "page_table": Array(gpu, (len(CACHED), most), "int32", tables),
            "max_seqlen_q": 1, "max_seqlen_k": max(CACHED)}

    def expected(self, less=0):
        """less: the last keys that are not seen."""
        found = {}
        for sequence, length in enumerate(CACHED):
            seen = max(length - less, 1)
            for head in range(HEADS):
                keys, values = ([row[head // GROUP] for row in self.keys[name][sequence][:seen]]
                                for name in "kv")
                query = self.query[(sequence * HEADS + head) * DIM:][:DIM]
                found[sequence, head] = Expected(query, keys, values, (DIM**-0.5, 1.0))
        return found


class Results:
    """An output and its LSEs."""

    def __init__(self, gpu, tokens, dtype, width=HEADS * DIM):
        self.tokens, self.width, self.dtype = tokens, width, dtype
        self.out = Array(gpu, (tokens, width), dtype)
        self.lse = Array(gpu, (HEADS, tokens), "float32")

    def poison(self):
        self.out.poison()
        self.lse.poison()

    def read(self, head_stride=DIM):
        """(found, lses) for Judge.judge."""
        stored, lses = self.out.read(), self.lse.read()
        number = of_bf16 if self.dtype == "bfloat16" else lambda code: OUT_SCALE * of_e4m3(code)
        return (lambda token, head: list(map(
            number, stored[token * self.width + head * head_stride:][:DIM])),
                lambda token, head: lses[head * self.tokens + token])


def run_prefill(judge):
    """bf16 into heads of 72 elements within rows of 640, and what lies between stays."""
    prefill = Prefill(judge.gpu)
    results = Results(judge.gpu, prefill.tokens, "bfloat16", 640)
    view = results.out[:, :]
    view.shape, view.strides = (prefill.tokens, HEADS, DIM), (640, 72, 1)
    counters = Array(judge.gpu, (2,), "int32", [0, 0])
    for _ in range(2):  # with the same counters
        fp8_attention(**prefill.operands, out=view, lse=results.lse, work_counters=counters,
                      stream=0)
    judge.gpu.wait()
    found, lses = results.read(72)
    judge.judge("prefill into padded heads", prefill.expected(), found, lses)
    wrong = sum(row.wrong(found(*key), row.lse, no_rounding)
                for key, row in prefill.expected(causal=False).items())
    judge.says("a control without a mask is caught", wrong > 0)
    bits = results.out.read()
    between = [bits[token * 640 + column] for token in range(prefill.tokens)
               for column in range(640) if column % 72 >= DIM or column >= 72 * HEADS]
    judge.says("padding stays, counters are zero again",
               set(between) == {0xFFFF} and counters.read() == (0, 0))


def run_decode(judge):
    """Whole, in three parts, to FP8 in parts and by a graph."""
    decode, gpu = Decode(judge.gpu), judge.gpu
    expected = decode.expected()
    results = Results(gpu, len(CACHED), "bfloat16")
    more = {**decode.operands, "out": results.out, "lse": results.lse}
    count = fp8_attention_workspace_bytes(
        len(CACHED), len(CACHED), HEADS, KV_HEADS, max_seqlen_q=1, max_seqlen_k=max(CACHED),
        head_dim=DIM, num_splits=3)
    workspace = Array(gpu, (count,), "uint8")
    for what, given in (("decode", {"num_splits": 1}), ("decode, invariant", {"invariant": True}),
                        ("decode in parts", {"num_splits": 3, "workspace": workspace})):
        results.poison()
        fp8_attention(**more, **given, stream=0)
        gpu.wait()
        judge.judge(what, expected, *results.read())
    found, _ = results.read()
    wrong = sum(row.wrong(found(*key), row.lse, no_rounding)
                for key, row in decode.expected(less=40).items())
    judge.says("a control that misses keys is caught", wrong > 0)
    codes = Results(gpu, len(CACHED), "float8_e4m3fn")
    more.update(out=codes.out, lse=codes.lse, num_splits=3, workspace=workspace,
                output_scale=Array(gpu, (1,), "float32", [OUT_SCALE]))
    stream = gpu.stream()
    codes.poison()
    fp8_attention(**more, stream=stream)
    gpu.wait(stream)
    judge.judge("decode in parts to FP8", expected, *codes.read(), e4m3_rounding)
    first = codes.out.read()
    graph = gpu.capture(stream, lambda: fp8_attention(**more, stream=stream))
    for _ in range(3):
        codes.poison()
        workspace.poison()
        gpu("cuGraphLaunch", graph, None)
        gpu.wait()
        judge.says("a replayed graph gives the same codes", codes.out.read() == first)


def run_torch(judge):
    """What torch makes: outputs, and workspaces that graphs keep to themselves."""
    try:
        import torch
    except ImportError:
        print("fp8_attention: NOT RUN: python3 has no torch here, so what it makes was not tried")
        return
    new = lambda *shape: torch.randn(*shape, device="cuda").to(torch.float8_e4m3fn)  # noqa: E731
    keys, heads, dim = 20000, 8, 128
    q, k, v = new(1, heads, dim), new(keys, 1, dim), new(keys, 1, dim)
    ends = [torch.tensor([0, count], device="cuda", dtype=torch.int32) for count in (1, keys)]
    call = lambda **more: fp8_attention(  # noqa: E731
        q, k, v, *ends, 1, keys, return_lse=True, **more)
    scores = torch.einsum("nhd,mgd->hm", q.double(), k.double()) * dim**-0.5
    expected = torch.softmax(scores, 1) @ v.double()[:, 0]
    out, lse = call()
    torch.cuda.synchronize()
    error = ((out.double()[0] - expected).norm() / expected.norm()).item()
    worst = (lse.double()[:, 0] - torch.logsumexp(scores, 1)).abs().max().item()
    print(f"fp8_attention: torch: relative error {error:.4f}, of the LSE {worst:.6f}")
    judge.says("torch: outputs and a workspace that it makes",
               out.dtype == torch.bfloat16 and error <= 3.5e-2 and worst <= 1e-3)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call()  # this stream's first
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        again, _ = call()
    for _ in range(3):
        # Whatever torch has free goes to others, who write to it.
        others = [torch.full((1 << 18,), math.nan, device="cuda") for _ in range(64)]
        again.fill_(math.nan)
        graph.replay()
        torch.cuda.synchronize()
        judge.says("torch: a graph with a workspace of its own",
                   torch.equal(again, out) and all(bool(other.isnan().all()) for other in others))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    seed = parser.parse_args().seed
    random.seed(seed)
    print(f"fp8_attention: seed {seed}")
    try:
        gpu = Gpu()
    except (OSError, RuntimeError) as error:
        print(f"fp8_attention: NOT RUN: {error}")
        return 2
    if gpu.capability() != (9, 0):
        print(f"fp8_attention: NOT RUN: compute capability {gpu.capability()}")
        return 2
    judge = Judge(gpu)
    run_prefill(judge)
    run_decode(judge)
    run_torch(judge)
    return 1 if judge.failures else 0


if __name__ == "__main__":
    sys.exit(main())
