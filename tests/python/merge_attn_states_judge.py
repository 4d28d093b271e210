"""Inputs, reference and verdicts for merge_attn_states_grid.py. Needs torch."""

import dataclasses
import math
from typing import Any, List, NamedTuple, Optional

import torch

GUARD_BYTES = 256
GUARD, POISON = 0xA5, 0xFF  # the poison is a NaN in every dtype
# vLLM's (atol, rtol).
UPSTREAM = {torch.float32: (1e-3, 1e-3), torch.float16: (1e-3, 1e-3), torch.bfloat16: (1e-3, 1e-2),
            torch.float8_e4m3fn: (0.1, 0.1)}
# Fraction bits and least exponent.
FORMATS = {torch.float32: (23, -126), torch.float16: (10, -14), torch.bfloat16: (7, -126)}


@dataclasses.dataclass(frozen=True)
class Case:
    tokens: int
    heads: int
    size: int
    dtype: Any
    scale: Optional[float] = None  # set: output to FP8
    lse: bool = True
    context: Optional[int] = None

    @property
    def output_dtype(self):
        return torch.float8_e4m3fn if self.scale else self.dtype

    def with_context(self, context):
        return dataclasses.replace(self, context=context)

    def __str__(self):
        return (f"n {self.tokens}, h {self.heads}, d {self.size}, {self.dtype}, scale {self.scale}, "
                f"lse {self.lse}, context {self.context}")


class Guarded:
    """A poisoned tensor between guard bands."""

    def __init__(self, shape, dtype):
        count = math.prod(shape) * torch.empty(0, dtype=dtype).element_size()
        self.memory = torch.full((count + 2 * GUARD_BYTES,), GUARD, dtype=torch.uint8,
                                 device="cuda")
        self.inner = self.memory[GUARD_BYTES:GUARD_BYTES + count]
        self.inner.fill_(POISON)
        self.tensor = self.inner.view(dtype).view(shape)

    def intact(self):
        """Whether the guard bands are."""
        return bool((self.memory[:GUARD_BYTES] == GUARD).all() &
                    (self.memory[GUARD_BYTES + self.inner.numel():] == GUARD).all())

    def is_poison(self):
        return bool((self.inner == POISON).all())


def make_inputs(case, seed):
    """(prefix, prefix_lse, suffix, suffix_lse) as vLLM's test draws them."""
    source = torch.Generator(device="cuda").manual_seed(seed)

    def draw(function, *shape, dtype=torch.float32):
        return function(*shape, generator=source, device="cuda", dtype=dtype)

    shape, rows = (case.tokens, case.heads, case.size), (case.heads, case.tokens)
    prefix_lse, suffix_lse = draw(torch.randn, *rows), draw(torch.randn, *rows)
    prefix_empty, suffix_empty = draw(torch.rand, *rows) < 0.1, draw(torch.rand, *rows) < 0.1
    both = prefix_empty & suffix_empty
    prefix_lse[prefix_empty & ~both] = math.inf
    suffix_lse[suffix_empty & ~both] = math.inf
    return (draw(torch.randn, *shape).to(case.dtype), prefix_lse,
            draw(torch.randn, *shape).to(case.dtype), suffix_lse)


class Reference(NamedTuple):
    merged: Any  # float64 [n, h, d]
    largest: Any  # the larger summand of each element, in magnitude
    inputs: Any  # the larger input
    lse: Any  # float64 [h, n]


def reference(case, inputs):
    """The merge in float64 of the stored inputs."""
    prefix, prefix_lse, suffix, suffix_lse = inputs
    context = case.tokens if case.context is None else case.context
    p, s = prefix_lse.double(), suffix_lse.double()
    p, s = (torch.where(lse.isinf(), -math.inf, lse) for lse in (p, s))
    top = torch.maximum(p, s)
    empty = top.isinf()
    top = torch.where(empty, 0.0, top)
    p_weight, s_weight = torch.exp(p - top), torch.exp(s - top)
    total = p_weight + s_weight
    lse = torch.where(empty, -math.inf, total.log() + top)
    p_weight = torch.where(empty, 1.0, p_weight / total)
    s_weight = torch.where(empty, 0.0, s_weight / total)
    lse[:, context:] = suffix_lse.double()[:, context:]
    p_weight[:, context:], s_weight[:, context:] = 0.0, 1.0

    def summand(weight, values):
        weight = weight.t().unsqueeze(-1)
        return torch.where(weight == 0, 0.0, weight * values.double())

    from_prefix, from_suffix = summand(p_weight, prefix), summand(s_weight, suffix)
    return Reference(from_prefix + from_suffix,
                     torch.maximum(from_prefix.abs(), from_suffix.abs()),
                     torch.maximum(prefix.abs().double(), suffix.abs().double()), lse)


def ulp(values, dtype):
    """The distance of neighbours at these magnitudes."""
    bits, least = FORMATS[dtype]
    _, exponent = torch.frexp(values)
    exponent = torch.where(values == 0, least, exponent - 1)
    return torch.exp2(exponent.clamp(min=least).double() - bits)


class Verdict(NamedTuple):
    strict: List[str]  # what is wrong by the strict tolerances
    upstream: List[str]  # what is wrong by vLLM's
    kind: str
    worst: float  # in the unit of the kind
    identical: float
    lse: float


def judge(case, results, right, scales=None):
    """The verdict on guarded (output, output_lse). scales: fp32, of each element, for groups."""
    output, lse = results
    strict, upstream = [], []
    for name, buffer in (("output", output), ("output_lse", lse)):
        if buffer is not None and not buffer.intact():
            strict.append(f"{name}: guard bands were written")
    if case.scale:
        kind, worst, identical = _judge_fp8(case, output.tensor, right, strict, upstream, scales)
    else:
        kind, worst, identical = _judge_plain(case, output.tensor, right, strict, upstream)
    lse_error = 0.0
    if lse is not None:
        lse_error = _judge_lse(case, lse.tensor, right, strict, upstream)
    return Verdict(strict, upstream, kind, worst, identical, lse_error)


def _outside(actual, wanted, dtype):
    atol, rtol = UPSTREAM[dtype]
    # A NaN is outside too.
    return int((~((actual - wanted).abs() <= atol + rtol * wanted.abs())).sum())


def _judge_plain(case, output, right, strict, upstream):
    actual = output.double()
    bad = _outside(actual, right.merged, case.dtype)
    if bad:
        upstream.append(f"{bad} elements outside of vLLM's tolerance")
    if case.dtype == torch.float32:
        error = (actual - right.merged).abs()
        allowed = 1e-6 + 4 * ulp(right.inputs, case.dtype)
        identical = 1.0
    else:
        rounded = right.merged.to(case.dtype)
        error = (actual - rounded.double()).abs()
        allowed = ulp(torch.maximum(right.merged.abs(), right.largest), case.dtype)
        identical = float((output == rounded).double().mean())
        if identical < 0.99:
            strict.append(f"only {identical:.4%} are identical to the rounded reference")
    bad = int((~(error <= allowed)).sum())
    if bad:
        strict.append(f"{bad} elements off, the worst by {float(error.max()):.3g}")
    return str(case.dtype).rpartition(".")[2], float((error / allowed).max()), identical


def _order(codes):
    """Codes of e4m3 as integers in the order of their values."""
    codes = codes.to(torch.int32)
    return torch.where(codes < 128, codes, 128 - codes)


def _judge_fp8(case, output, right, strict, upstream, scales):
    codes = output.view(torch.uint8)
    if bool(((codes & 0x7F) == 0x7F).any()):
        strict.append("NaN codes were written")
    if scales is None:
        scales = torch.tensor(case.scale, device="cuda")
        bad = _outside(output.float().double() * case.scale, right.merged, torch.float8_e4m3fn)
        if bad:
            upstream.append(f"{bad} elements outside of vLLM's tolerance")
    # By the reciprocal in fp32, as it is defined: copies of one side are often ties.
    exact = right.merged * (1.0 / scales).double()
    quotient = exact.clamp(-448, 448)
    wanted = quotient.float().to(torch.float8_e4m3fn)
    steps = (_order(codes) - _order(wanted.view(torch.uint8))).abs()
    identical = float((steps == 0).double().mean())
    if int(steps.max()) > 1:
        strict.append(f"{int((steps > 1).sum())} codes off by more than one step, the worst by "
                      f"{int(steps.max())}")
    if identical < 0.995:
        strict.append(f"only {identical:.4%} of the codes are identical")
    # Beyond the last step before 448 there is nothing to round to but 448.
    if bool((exact.abs() > 465).logical_and((codes & 0x7F) != 0x7E).any()):
        strict.append("saturated elements are not 448")
    return "float8_e4m3fn", float(steps.max()), identical


def _judge_lse(case, lse, right, strict, upstream):
    actual = lse.double()
    both_infinite = actual == right.lse
    error = torch.where(both_infinite, 0.0, (actual - right.lse).abs())
    bad = int((~(error <= 2e-6 * right.lse.abs().clamp(min=1))).sum())
    if bad:
        strict.append(f"{bad} LSEs off, the worst by {float(error.max()):.3g}")
    atol, rtol = UPSTREAM[case.output_dtype]
    bad = int((~(both_infinite | (error <= atol + rtol * right.lse.abs()))).sum())
    if bad:
        upstream.append(f"{bad} LSEs outside of vLLM's tolerance")
    return float(error.max())


class Tally:
    """Counts checks, keeps failures and the worst of each kind."""

    UNITS = {"float32": "of 1e-6 + 4 ulp", "float16": "ulp", "bfloat16": "ulp",
             "float8_e4m3fn": "code steps"}

    def __init__(self):
        self.count = 0
        self.failures = []
        self.worst = {}

    def add(self, verdict, what):
        self.count += 1
        for text in verdict.strict + verdict.upstream:
            self._fail(f"{what}: {text}")
        runs, worst, identical, lse = self.worst.get(verdict.kind, (0, 0.0, 1.0, 0.0))
        self.worst[verdict.kind] = (runs + 1, max(worst, verdict.worst),
                                    min(identical, verdict.identical), max(lse, verdict.lse))

    def expect(self, holds, what):
        self.count += 1
        if not holds:
            self._fail(what)

    def _fail(self, text):
        self.failures.append(text)
        if len(self.failures) <= 20:
            print(f"merge grid: FAILED: {text}", flush=True)

    def print(self):
        for kind, (runs, worst, identical, lse) in sorted(self.worst.items()):
            print(f"merge grid: {kind}: {runs} runs, worst {worst:.3g} {self.UNITS[kind]}, least "
                  f"identical {identical:.4%}, worst LSE error {lse:.3g}")
