set(CUBINET_SOURCES_COMPILE
  compiler.cpp
  cubin_check.cpp
  log_parser.cpp
  nvrtc.cpp
  reproduction.cpp
  toolchain.cpp
)
