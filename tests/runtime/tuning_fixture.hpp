// A machine with GPUs of several models, and tuning records of the tiny template.
#pragma once

#include <fstream>
#include <map>

#include "runtime/runtime_fixture.hpp"
#include "runtime/runtime_impl.hpp"
#include "support/toolchain_at_hand.hpp"
#include "support/tuning_records.hpp"

namespace jit::testing {

inline FakeDevice fake_device(const DeviceModel& model) {
  FakeDevice device;
  device.name = model.name;
  device.sm_count = static_cast<int>(model.multiprocessors);
  device.memory_bytes = std::uint64_t{model.memory_gib} << 30;
  return device;
}

class TuningScene : public Scene {
 public:
  explicit TuningScene(const std::vector<DeviceModel>& models = {kH200})
      : Scene(fake_devices(models)) {
    use(0);
  }

  // What was measured in one bucket step to be best for SIZE on a model: {THREADS, STAGES}.
  TuningRecord record(int size, std::int64_t threads, std::int64_t stages,
                      const std::string& step = "decode", const DeviceModel& model = kH200) {
    Runtime runtime(options);
    TuningRecord record =
        tiny_record(runtime.impl().templates().find("tiny"), size, threads, stages);
    record.buckets = {{"phase", step}};
    record.toolchain = toolchain_at_hand().id.release.text();
    record.device = model;
    return record;
  }
  std::filesystem::path tuning_file() const { return options.cache_dir / kTuningFile; }
  // Appends lines to the cache's file.
  void write(const std::vector<std::string>& lines) const { write(tuning_file(), lines); }
  void write(const std::filesystem::path& file, const std::vector<std::string>& lines) const {
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::permissions(file.parent_path(), std::filesystem::perms::owner_all);
    std::ofstream out(file, std::ios::app);
    for (const std::string& line : lines) out << line << '\n';
    out.close();
    std::filesystem::permissions(file, std::filesystem::perms(0600));
  }

 private:
  static std::vector<FakeDevice> fake_devices(const std::vector<DeviceModel>& models) {
    std::vector<FakeDevice> devices;
    for (const DeviceModel& model : models) devices.push_back(fake_device(model));
    return devices;
  }
};

// "THREADS/STAGES" of a kernel for SIZE.
inline std::string chosen(const Kernel& kernel) {
  const auto number = [&](std::string_view name) {
    return std::to_string(kernel.info().constant(name).as_int());
  };
  return number("THREADS") + "/" + number("STAGES");
}
inline std::string chosen(Runtime& runtime, int size, int tokens = 1,
                          const KernelOptions& options = {}) {
  return chosen(runtime.get_kernel("tiny", {{"SIZE", size}}, {{"num_tokens", tokens}}, options));
}

}  // namespace jit::testing
