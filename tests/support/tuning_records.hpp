// Tuning records of the tiny template, as a measured stage would leave them.
#pragma once

#include <string>
#include <vector>

#include "base/hex.hpp"
#include "jit/template_table.hpp"
#include "jit/tuning.hpp"
#include "signature/tuning_digest.hpp"

namespace jit::testing {

inline const DeviceModel kH200{"NVIDIA H200", 132, 141};
inline const DeviceModel kH100Pcie{"NVIDIA H100 PCIe", 114, 80};

// The choice for SIZE=`size` in the decode step on an H200; `set` is {THREADS, STAGES}.
inline TuningRecord tiny_record(const table::Template& tiny, std::int64_t size,
                                std::int64_t threads, std::int64_t stages) {
  TuningRecord record;
  record.name = "tiny";
  record.shape = {{"ELEMENT_TYPE_OF_INPUT", std::string("f32")},
                  {"FLAG", false},
                  {"ORDER", std::string("row_major")},
                  {"SIZE", size}};
  record.buckets = {{"phase", "decode"}};
  record.arch = "sm_90";
  record.toolchain = "13.0";
  record.bundle = to_hex(tuning_digest(tiny));
  record.device = kH200;
  record.set = {{"STAGES", stages}, {"THREADS", threads}};
  record.evidence.at = "2026-11-21T18:00:00Z";
  return record;
}

// The same with evidence: two variants at two sizes, the second faster, a third refused.
inline TuningRecord measured_tiny_record(const table::Template& tiny, std::int64_t size) {
  TuningRecord record = tiny_record(tiny, size, 128, 2);
  TuningEvidence& evidence = record.evidence;
  evidence.driver = "580.159.04";
  evidence.sizes = {{{"batch", 2}, {"num_tokens", 4}}, {{"batch", 2}, {"num_tokens", 64}}};
  TuningVariant untuned{{{"STAGES", 1L}, {"THREADS", 64L}}, TuningVerdict::kMeasured, {}, {}};
  untuned.times = {{2.5, 2.4375, 2.625, 64}, {3.75, 3.5, 4.0, 64}};
  untuned.registers = 40;
  untuned.occupancy = 0.75;
  TuningVariant best{{{"STAGES", 2L}, {"THREADS", 128L}}, TuningVerdict::kMeasured, {}, {}};
  best.times = {{2.25, 2.1875, 2.3125, 96}, {3.0, 2.875, 3.125, 96}};
  best.registers = 64;
  best.smem_bytes = 2048;
  best.occupancy = 0.5;
  const TuningVariant refused{{{"STAGES", 3L}, {"THREADS", 32L}},
                              TuningVerdict::kRefused,
                              "tiny.cuh:8: static assertion failed with \"whole vectors\"",
                              {}};
  evidence.variants = {untuned, best, refused};
  evidence.winner = 1;
  evidence.untuned = 0;
  evidence.noise = 0.003;
  evidence.clock_mhz_low = 1965;
  evidence.clock_mhz_high = 1980;
  evidence.seconds = 1.25;
  evidence.device_ms = 310.5;
  evidence.sweep_ms = 620;
  return record;
}

}  // namespace jit::testing
