#!/usr/bin/env python3
"""mla_prefill through Python against float64, on a GPU, with nothing but its driver.

usage: PYTHONPATH=tools/python CUBINET_LIBRARY=build/portable/lib/libcubinet.so \\
           python3 tests/python/mla_prefill_device.py [--seed N]

Slices of one projection, a rope part apart, padded outputs, counters of work that stay zero from
call to call, a graph that is replayed, and a chain with chunks of context; and a control that must
be caught. Exit codes: 0 all fine, 1 failures, 2 no GPU of compute capability 9.0.
"""

import argparse
import math
import random
import sys

from cubinet.kernels import (MlaContextChunk, mla_prefill, mla_prefill_with_context,
                             mla_prefill_workspace_bytes)
from device_memory import Array, Gpu, bf16_of, of_bf16, of_e4m3

HEADS, NOPE, ROPE, DIM_V = 2, 128, 64, 128
SCALE = 0.01  # saturates the first rows
LENGTHS = (1, 70, 0, 129)
CONTEXT = ((60, 0, 3, 130), (1, 64, 0, 0))  # of each chunk


def ends_of(lengths):
    return [sum(lengths[:count]) for count in range(len(lengths) + 1)]


class Keys:
    """Keys and values of some sequences: slices of one projection, and a rope part apart."""

    def __init__(self, gpu, lengths):
        tokens = sum(lengths)
        self.ends = ends_of(lengths)
        self.up = normal_bits(tokens * HEADS * (NOPE + DIM_V))
        self.rope = normal_bits(tokens * ROPE)
        up = Array(gpu, (tokens, HEADS, NOPE + DIM_V), "bfloat16", self.up)
        self.k, self.v = up[:, :, :NOPE], up[:, :, NOPE:]
        self.k_rope = Array(gpu, (tokens, 1, ROPE), "bfloat16", self.rope)
        self.cu_seqlens = Array(gpu, (len(self.ends),), "int32", self.ends)

    def of(self, sequence, head):
        """[(key, value)] of a sequence in float64."""
        found = []
        for token in range(self.ends[sequence], self.ends[sequence + 1]):
            at = (token * HEADS + head) * (NOPE + DIM_V)
            row = [of_bf16(bits) for bits in self.up[at:at + NOPE + DIM_V]]
            rope = [of_bf16(bits) for bits in self.rope[token * ROPE:(token + 1) * ROPE]]
            found.append((row[:NOPE] + rope, row[NOPE:]))
        return found


def normal_bits(count):
    return [bf16_of(random.gauss(0, 1)) for _ in range(count)]


class Queries:
    def __init__(self, gpu):
        tokens = sum(LENGTHS)
        self.bits = normal_bits(tokens * HEADS * (NOPE + ROPE))
        self.array = Array(gpu, (tokens, HEADS, NOPE + ROPE), "bfloat16", self.bits)

    def of(self, token, head):
        at = (token * HEADS + head) * (NOPE + ROPE)
        return [of_bf16(bits) for bits in self.bits[at:at + NOPE + ROPE]]


def attention(query, pairs):
    """(output, LSE, sum of p * |v|) of one query in float64."""
    scores = [sum(map(float.__mul__, query, key)) * (NOPE + ROPE)**-0.5 for key, _ in pairs]
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    total = sum(weights)
    columns = list(zip(*[value for _, value in pairs]))
    return ([sum(map(float.__mul__, weights, column)) / total for column in columns],
            top + math.log(total),
            [sum(map(float.__mul__, weights, map(abs, column))) / total for column in columns])


def reference(queries, keys, causal=True):
    """{(token, head): (output, LSE, magnitude)}. keys: in order, the new tokens' own last."""
    found, ends = {}, ends_of(LENGTHS)
    for sequence, length in enumerate(LENGTHS):
        for head in range(HEADS):
            pairs = [pair for part in keys for pair in part.of(sequence, head)]
            for row in range(length):
                seen = len(pairs) - length + row + 1 if causal else len(pairs)
                token = ends[sequence] + row
                found[token, head] = attention(queries.of(token, head), pairs[:seen])
    return found


def wrong_outputs(expected, stored, fp8):
    """How many elements are not what they should be. stored: (token, head) -> its elements."""
    count = 0
    for key, (output, _, magnitude) in expected.items():
        for wanted, size, bits in zip(output, magnitude, stored(*key)):
            if fp8:
                wanted, size, got = wanted / SCALE, size / SCALE, of_e4m3(bits)
                wanted = min(max(wanted, -448.0), 448.0)
                least = max(math.frexp(wanted)[1] - 1, -6) if wanted else -6
                allowed = 2.0**(least - 4) + size / 256
            else:
                got = of_bf16(bits)
                allowed = (size + abs(wanted)) / 256
            count += not abs(got - wanted) <= allowed
    return count


def wrong_lses(expected, stored, tokens):
    return sum(not abs(stored[head * tokens + token] - lse) <= 1e-4 + 1e-5 * abs(lse)
               for (token, head), (_, lse, _) in expected.items())


class Run:
    """Operands of the calls, and what came of them."""

    def __init__(self, gpu):
        self.gpu, self.failures, self.tokens = gpu, 0, sum(LENGTHS)
        self.queries, self.own = Queries(gpu), Keys(gpu, LENGTHS)
        self.lse = Array(gpu, (HEADS, self.tokens), "float32")
        self.scale = Array(gpu, (1,), "float32", [SCALE])
        self.counters = Array(gpu, (2,), "int32", [0, 0])
        self.codes = Array(gpu, (self.tokens, HEADS * DIM_V), "float8_e4m3fn")
        self.operands = {"q": self.queries.array, "k": self.own.k, "v": self.own.v,
                         "cu_seqlens_q": self.own.cu_seqlens, "k_rope": self.own.k_rope,
                         "lse": self.lse}
        self.fp8 = {**self.operands, "out": self.codes, "output_scale": self.scale,
                    "work_counters": self.counters}
        self.expected = reference(self.queries, [self.own])

    def says(self, what, fine):
        self.failures += not fine
        print(f"mla_prefill: {what}: {'fine' if fine else 'WRONG'}")

    def poison(self):
        self.codes.poison()
        self.lse.poison()

    def judge(self, what, expected):
        """Of FP8 output and LSEs."""
        codes = self.codes.read()
        width = HEADS * DIM_V
        stored = lambda token, head: codes[token * width + head * DIM_V:][:DIM_V]  # noqa: E731
        self.says(what, wrong_outputs(expected, stored, True) == 0 and
                  wrong_lses(expected, self.lse.read(), self.tokens) == 0 and
                  self.counters.read() == (0, 0))
        return codes

    def padded(self):
        """bf16 into heads of 160 elements within rows of 400, and what lies between stays."""
        out = Array(self.gpu, (self.tokens, 400), "bfloat16")
        view = out[:, :]
        view.shape, view.strides = (self.tokens, HEADS, DIM_V), (400, 160, 1)
        mla_prefill(**self.operands, out=view, stream=0)
        self.gpu.wait()
        bits = out.read()
        stored = lambda token, head: bits[token * 400 + head * 160:][:DIM_V]  # noqa: E731
        self.says("bf16 into padded heads", wrong_outputs(self.expected, stored, False) == 0)
        self.says("a control without a mask is caught", wrong_outputs(
            reference(self.queries, [self.own], causal=False), stored, False) > 0)
        between = [bits[token * 400 + column] for token in range(self.tokens)
                   for column in range(400) if column % 160 >= DIM_V or column >= 160 + DIM_V]
        self.says("padding stays as it was", set(between) == {0xFFFF})

    def to_fp8(self):
        stream = self.gpu.stream()
        self.poison()
        mla_prefill(**self.fp8, stream=stream)
        mla_prefill(**self.fp8, stream=stream)  # with the same counters
        self.gpu.wait(stream)
        first = self.judge("FP8, twice with the same counters", self.expected)
        graph = self.gpu.capture(stream, lambda: mla_prefill(**self.fp8, stream=stream))
        for _ in range(3):
            self.poison()
            self.gpu("cuGraphLaunch", graph, None)
            self.gpu.wait()
        self.says("a replayed graph gives the same codes",
                  self.judge("FP8 by a graph", self.expected) == first)

    def with_context(self):
        parts = [Keys(self.gpu, lengths) for lengths in CONTEXT]
        count = mla_prefill_workspace_bytes(self.tokens, HEADS, len(parts), dtype="e4m3")
        workspace = Array(self.gpu, (count,), "uint8")
        chunks = [MlaContextChunk(part.k, part.v, part.cu_seqlens, part.k_rope) for part in parts]
        self.poison()
        mla_prefill_with_context(**self.fp8, chunks=chunks, workspace=workspace, stream=0)
        self.gpu.wait()
        self.judge("FP8 with context in chunks", reference(self.queries, [*parts, self.own]))
        workspace.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    seed = parser.parse_args().seed
    random.seed(seed)
    print(f"mla_prefill: seed {seed}")
    try:
        gpu = Gpu()
    except (OSError, RuntimeError) as error:
        print(f"mla_prefill: NOT RUN: {error}")
        return 2
    if gpu.capability() != (9, 0):
        print(f"mla_prefill: NOT RUN: compute capability {gpu.capability()}")
        return 2
    run = Run(gpu)
    run.padded()
    run.to_fp8()
    run.with_context()
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
