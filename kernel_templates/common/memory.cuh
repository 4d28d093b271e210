// Loads from and stores to global memory with cache hints, one PTX instruction each.
//
// Requires: an address aligned to the access's own size (4, 8 or 16 bytes).
// Order: the functions are `volatile`: they stay in program order among themselves, so loads that
//        are written first are in flight together. None of them uses the non-coherent path: a
//        kernel may therefore start before its predecessor ends (programmatic dependent launch).
// Source: PTX ISA 9.0, 9.7.9.8 "ld", 9.7.9.12 "st", 9.7.13 "griddepcontrol".
#pragma once

namespace cubinet {

struct Words4 {
  unsigned int word[4];
};

struct Words2 {
  unsigned int word[2];
};

// ---- Loads ----

// A load with `active` false makes no access and returns zeros.

__device__ __forceinline__ Words4 load_16_bytes(const void* address, bool active) {
  Words4 value = {{0u, 0u, 0u, 0u}};
  asm volatile(
      "{\n\t.reg .pred active;\n\t"
      "setp.ne.b32 active, %5, 0;\n\t"
      "@active ld.global.v4.b32 {%0, %1, %2, %3}, [%4];\n\t}"
      : "+r"(value.word[0]), "+r"(value.word[1]), "+r"(value.word[2]), "+r"(value.word[3])
      : "l"(address), "r"(static_cast<int>(active))
      : "memory");
  return value;
}

// The same without taking a line of L1.
__device__ __forceinline__ Words4 load_16_bytes_no_allocate(const void* address, bool active) {
  Words4 value = {{0u, 0u, 0u, 0u}};
  asm volatile(
      "{\n\t.reg .pred active;\n\t"
      "setp.ne.b32 active, %5, 0;\n\t"
      "@active ld.global.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%4];\n\t}"
      : "+r"(value.word[0]), "+r"(value.word[1]), "+r"(value.word[2]), "+r"(value.word[3])
      : "l"(address), "r"(static_cast<int>(active))
      : "memory");
  return value;
}

__device__ __forceinline__ float load_float(const float* address, bool active) {
  float value = 0.0f;
  asm volatile(
      "{\n\t.reg .pred active;\n\t"
      "setp.ne.b32 active, %2, 0;\n\t"
      "@active ld.global.f32 %0, [%1];\n\t}"
      : "+f"(value)
      : "l"(address), "r"(static_cast<int>(active))
      : "memory");
  return value;
}

// ---- Stores ----

// The streaming ones mark their lines as first to leave the cache: written once, not read here.

__device__ __forceinline__ void store_16_bytes_streaming(void* address, const Words4& value) {
  asm volatile("st.global.cs.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(value.word[0]),
               "r"(value.word[1]), "r"(value.word[2]), "r"(value.word[3])
               : "memory");
}

__device__ __forceinline__ void store_8_bytes_streaming(void* address, const Words2& value) {
  asm volatile("st.global.cs.v2.b32 [%0], {%1, %2};" ::"l"(address), "r"(value.word[0]),
               "r"(value.word[1])
               : "memory");
}

__device__ __forceinline__ void store_4_bytes_streaming(void* address, unsigned int value) {
  asm volatile("st.global.cs.b32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}

__device__ __forceinline__ void store_float(float* address, float value) {
  asm volatile("st.global.f32 [%0], %1;" ::"l"(address), "f"(value) : "memory");
}

// ---- Order between grids ----

// Waits until the grids this one depends on have ended and their writes are visible. Returns at
// once when the launch asked for no programmatic dependency. Arch: sm_90 and later.
__device__ __forceinline__ void wait_for_previous_grids() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Lets grids that depend on this one start; they still wait for its end where they say so.
// Arch: sm_90 and later.
__device__ __forceinline__ void allow_next_grids() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace cubinet
