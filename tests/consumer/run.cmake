# Installs the build folder into an empty prefix, then configures, builds and runs the consumer
# against that prefix alone, as a stranger would.

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed (${result}): ${command}")
  endif()
endfunction()

file(REMOVE_RECURSE "${SCRATCH}")
run("${CMAKE_COMMAND}" --install "${BUILD_FOLDER}" --prefix "${SCRATCH}/prefix")
run("${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${SCRATCH}/build" -G "${GENERATOR}"
    "-DCMAKE_PREFIX_PATH=${SCRATCH}/prefix" "-DCMAKE_CXX_COMPILER=${COMPILER}"
    "-DCMAKE_CXX_COMPILER_LAUNCHER=${COMPILER_LAUNCHER}" "-DCMAKE_CXX_FLAGS=${FLAGS}"
    -DCMAKE_BUILD_TYPE=Release)
run("${CMAKE_COMMAND}" --build "${SCRATCH}/build")
run("${SCRATCH}/build/consumer" "${SCRATCH}/cache")

# A program in C, which knows the header and the library of that prefix.
separate_arguments(flags UNIX_COMMAND "${FLAGS}")
file(GLOB_RECURSE library "${SCRATCH}/prefix/libcubinet.so")
cmake_path(GET library PARENT_PATH library_folder)
run("${COMPILER}" -x c -std=c11 -Wall -Wextra -Wpedantic -Werror ${flags}
    "-I${SCRATCH}/prefix/include" "${CONSUMER}/consumer.c" -x none "-L${library_folder}" -lcubinet
    "-Wl,-rpath,${library_folder}" -o "${SCRATCH}/build/c_consumer")
run("${SCRATCH}/build/c_consumer" "${SCRATCH}/cache")
