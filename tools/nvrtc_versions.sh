# shellcheck shell=bash disable=SC2034
# Sourced: the releases of NVRTC that are fetched as NVIDIA's Python wheels, and no others.

# For machines without a CUDA toolkit: by the CUDA major of the driver, the newest without one.
nvrtc_for_cuda13=13.0.88
nvrtc_for_cuda12=12.9.86

# What `tools/test.sh toolchains` goes through: the oldest that users have, the first with Blackwell,
# the last 12.x, the first 13.x, the newest.
nvrtc_tested=(12.4.127 12.8.93 12.9.86 13.0.88 13.5.37)
# Another build of a release above.
nvrtc_twin=12.4.99
