# Dependencies: what is installed is used; otherwise a pinned version is fetched and built.
#
# All of them are private: nobody who links cubinet::jit needs any. NVRTC and the CUDA driver are
# opened at run time and are no dependency of the build.

include(FetchContent)
set(FETCHCONTENT_QUIET OFF)

FetchContent_Declare(
  fmt
  GIT_REPOSITORY https://github.com/fmtlib/fmt.git
  GIT_TAG e69e5f977d458f2650bb346dadf2ad30c5320281 # 10.2.1
  SYSTEM FIND_PACKAGE_ARGS 8)
FetchContent_Declare(
  nlohmann_json
  GIT_REPOSITORY https://github.com/nlohmann/json.git
  GIT_TAG 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03 # 3.11.3
  GIT_SHALLOW ON SYSTEM FIND_PACKAGE_ARGS 3.10)
FetchContent_Declare(
  CLI11
  GIT_REPOSITORY https://github.com/CLIUtils/CLI11.git
  GIT_TAG 6c7b07a878ad834957b98d0f9ce1dbe0cb204fc9 # 2.4.2
  SYSTEM FIND_PACKAGE_ARGS 2.1)
FetchContent_Declare(
  xxhash
  GIT_REPOSITORY https://github.com/Cyan4973/xxHash.git
  GIT_TAG bbb27a5efb85b92a0486cf361a8635715a53f6ba # 0.8.2
  SOURCE_SUBDIR none SYSTEM) # its header is all that is used
FetchContent_Declare(
  Catch2
  GIT_REPOSITORY https://github.com/catchorg/Catch2.git
  GIT_TAG fa43b77429ba76c462b1898d6cd2f2d7a9416b14 # 3.7.1
  SYSTEM FIND_PACKAGE_ARGS 3)
# Finds one library and one header of a package that cannot be fetched, or says what to install.
# Sets <name>_LIBRARY and <name>_INCLUDE_DIR. In a portable build the static library is taken.
function(cubinet_find_system_library name header package)
  if(CUBINET_PORTABLE)
    find_library(${name}_LIBRARY NAMES lib${name}.a)
  else()
    find_library(${name}_LIBRARY NAMES ${name})
  endif()
  find_path(${name}_INCLUDE_DIR NAMES ${header})
  if(NOT ${name}_LIBRARY OR NOT ${name}_INCLUDE_DIR)
    message(FATAL_ERROR "find lib${name}: library or <${header}> not found; install ${package} "
                        "(tools/install_dependencies.sh does) and configure again")
  endif()
endfunction()

set(JSON_BuildTests OFF)
FetchContent_MakeAvailable(fmt nlohmann_json CLI11)

find_path(xxhash_INCLUDE_DIR NAMES xxhash.h)
if(NOT xxhash_INCLUDE_DIR)
  FetchContent_MakeAvailable(xxhash)
  set(xxhash_INCLUDE_DIR "${xxhash_SOURCE_DIR}" CACHE PATH "Folder of xxhash.h" FORCE)
endif()

cubinet_find_system_library(elf libelf.h "libelf-dev (elfutils)")
cubinet_find_system_library(crypto openssl/sha.h "libssl-dev (OpenSSL 3)")

find_package(Threads REQUIRED)
add_library(cubinet_dependencies INTERFACE)
target_include_directories(
  cubinet_dependencies SYSTEM INTERFACE "${xxhash_INCLUDE_DIR}" "${elf_INCLUDE_DIR}"
                                        "${crypto_INCLUDE_DIR}")
target_compile_definitions(cubinet_dependencies INTERFACE XXH_INLINE_ALL)
target_link_libraries(
  cubinet_dependencies
  INTERFACE $<IF:$<BOOL:${CUBINET_PORTABLE}>,fmt::fmt-header-only,fmt::fmt>
            nlohmann_json::nlohmann_json Threads::Threads "${crypto_LIBRARY}" ${CMAKE_DL_LIBS})

if(CUBINET_PORTABLE)
  cubinet_find_system_library(z zlib.h zlib1g-dev)
  find_library(zstd_LIBRARY NAMES libzstd.a) # libelf reads zstd sections from 0.189 on
  set(elf_libraries "${elf_LIBRARY}" "${z_LIBRARY}" $<$<BOOL:${zstd_LIBRARY}>:${zstd_LIBRARY}>)
  # Debian compiles libelf.a for executables alone; libcubinet.so finds a copy of libelf.so.1 beside
  # itself.
  find_library(elf_SHARED_LIBRARY NAMES libelf.so.1 REQUIRED)
  configure_file("${elf_SHARED_LIBRARY}" "${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/libelf.so.1" COPYONLY)
  set(is_shared $<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>)
  target_link_libraries(
    cubinet_dependencies INTERFACE "$<IF:${is_shared},${elf_SHARED_LIBRARY},${elf_libraries}>")
else()
  target_link_libraries(cubinet_dependencies INTERFACE "${elf_LIBRARY}")
endif()
