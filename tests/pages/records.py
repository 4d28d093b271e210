"""Tuning records for the pages that check_report.py looks at."""

import json
import math

HOSTILE = "</style><script>alert(1)</script>&\"'<img src=http://127.0.0.1:9/ onerror=alert(2)>"


def timed(median, samples=40):
    return [round(median, 4), round(median * 0.994, 4), round(median * 1.009, 4), samples]


def record_of(name, evidence):
    variants = evidence["variants"]
    return {"template": name, "shape": {}, "buckets": {}, "arch": "sm_90a", "toolchain": "13.0",
            "bundle": "a" * 64,
            "device": {"name": "NVIDIA H200", "multiprocessors": 132, "memory_gib": 140},
            "set": variants[evidence["winner"]]["set"], "at": "2026-11-21T18:00:00Z",
            "evidence": {"driver": "580.159.04", "noise": 0.006, "clock_mhz": [1935, 1980],
                         "throttled": "", "seconds": 6.42, "device_ms": 412, "sweep_ms": 1980,
                         "complete": True, **evidence}}


def merge_record(phase):
    """THREADS x KEEP_IN_L1 over three sizes, with every verdict."""
    best, bases = {"decode": (128, (1.69, 2.28, 3.31)),
                   "prefill": (512, (6.97, 21.2, 77.9))}[phase]
    variants = []
    for keep in (False, True):
        for threads in (64, 128, 256, 512):
            away = abs(math.log2(threads / best))
            slower = 1 + 0.04 * away + (0.03 if keep == (phase == "decode") else 0)
            variants.append({"set": {"KEEP_IN_L1": keep, "THREADS": threads}, "verdict": "measured",
                             "us": [timed(base * slower) for base in bases],
                             "registers": 40 if keep else 38, "occupancy": 0.75})
    spoiled = ((0, "refused", "static assertion failed: THREADS must hold a whole row"),
               (4, "wrong", "output[3][17] is 0.125, expected 0.1328"),
               (7 if phase == "decode" else 5, "rejected", "spills 48 bytes, others do not"),
               (3 if phase == "decode" else 1, "not_reached", ""))
    for index, verdict, reason in spoiled:
        del variants[index]["us"]
        variants[index] |= {"verdict": verdict, "reason": reason}
    variants[spoiled[2][0]]["spill_bytes"] = 48
    winner, untuned = (1, 1) if phase == "decode" else (7, 6)
    sizes = {"decode": (1, 16, 64), "prefill": (256, 1024, 4096)}[phase]
    record = record_of("merge_attn_states", {
        "winner": winner, "untuned": untuned, "variants": variants,
        "sizes": [{"num_heads": 128, "num_tokens": tokens} for tokens in sizes]})
    return record | {"buckets": {"phase": phase},
                     "shape": {"HEAD_SIZE": 128, "INPUT_TYPE": "bf16", "USE_FP8_OUTPUT": True}}


def large_record():
    """Four tunables, 60 variants, two sizes; some spill."""
    variants = []
    for m in (64, 128, 256):
        for n in (16, 32, 64, 96, 128):
            for stages in (2, 3):
                for split in (False, True):
                    far = (abs(math.log2(m / 128)) * 0.09 + abs(math.log2(n / 64)) * 0.13 +
                           (0.04 if stages == 2 else 0) + (0 if split else 0.015))
                    variant = {"set": {"kBlockM": m, "kBlockN": n, "kStages": stages,
                                       "kWarpSplit": split},
                               "verdict": "measured", "registers": 32 + m * n // 160,
                               "smem_bytes": m * 64 * stages, "occupancy": 0.25,
                               "us": [timed(18.4 * (1 + far), 20), timed(141 * (1 + far), 20)]}
                    if m == 256 and n == 128:
                        del variant["us"]
                        variant |= {"verdict": "rejected", "reason": "spills, others do not",
                                    "spill_bytes": 64 * stages}
                    variants.append(variant)
    sets = [list(variant["set"].values()) for variant in variants]
    return record_of("fp8_paged_logits", {
        "winner": sets.index([128, 64, 3, True]), "untuned": sets.index([64, 64, 2, False]),
        "variants": variants, "sizes": [{"num_tokens": 1024}, {"num_tokens": 8192}],
        "throttled": "power cap"}) | {"shape": {"HEAD_SIZE": 128}}


def hostile_record():
    """Whatever may be text tries to be markup."""
    record = merge_record("prefill")
    record |= {"template": HOSTILE, "buckets": {HOSTILE: HOSTILE}, "shape": {HOSTILE: HOSTILE}}
    record["device"]["name"] = HOSTILE
    record["evidence"] |= {"driver": HOSTILE, "throttled": HOSTILE}
    for variant in record["evidence"]["variants"]:
        variant["set"][HOSTILE] = HOSTILE
        variant["reason"] = HOSTILE
    return record


def lines_of(records):
    return "".join(json.dumps(record) + "\n" for record in records)
