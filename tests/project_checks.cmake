# Checks of the project itself: layering, documents, format, tidiness, the installed package.

find_package(Python3 3.9 COMPONENTS Interpreter REQUIRED)
set(tools "${PROJECT_SOURCE_DIR}/tools")

# cubinet_check(<name> <label> <timeout in s> <command>...)
function(cubinet_check name label timeout_s)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout_s})
endfunction()

cubinet_check("project: layers" cpu 60 Python3::Interpreter "${tools}/check_layers.py")
cubinet_check("project: layers refuses violations" cpu 60
              Python3::Interpreter "${tools}/check_layers.py" --self-test)
cubinet_check("project: paths in documents exist" cpu 60
              Python3::Interpreter "${tools}/check_docs.py" paths)
cubinet_check("project: doctor knows the README's variables" cpu 60
              Python3::Interpreter "${tools}/check_docs.py" variables "$<TARGET_FILE:cubinet>")
cubinet_check("project: document check refuses violations" cpu 60
              Python3::Interpreter "${tools}/check_docs.py" self-test)
# The C interface, taken by a C compiler and by the oldest C++ that it is meant for.
foreach(dialect IN ITEMS "c -std=c11 -Wstrict-prototypes -Wmissing-prototypes"
                         "c++ -std=c++11 -Wold-style-cast")
  separate_arguments(dialect_flags UNIX_COMMAND "-x ${dialect}")
  list(GET dialect_flags 1 language)
  cubinet_check("project: the C interface is ${language}" cpu 60
                "${CMAKE_CXX_COMPILER}" ${dialect_flags} -Wall -Wextra -Wpedantic -Wconversion
                -Werror -fsyntax-only "-I${PROJECT_SOURCE_DIR}/include"
                "${PROJECT_SOURCE_DIR}/tests/c_abi/header.h")
endforeach()
cubinet_check("project: libcubinet.so exports only jit:: and cubinet_" cpu 60
              Python3::Interpreter "${tools}/check_exports.py" "$<TARGET_FILE:cubinet_jit>")
cubinet_check("project: export check refuses violations" cpu 60
              Python3::Interpreter "${tools}/check_exports.py" --self-test)

cubinet_check("project: wheel's platform tag" cpu 60
              Python3::Interpreter "${tools}/wheel_platform.py" --self-test)

# The Python package against this build's library and the fake driver; a sanitizer's runtime would
# have to be loaded before Python itself.
if(NOT CUBINET_SANITIZE)
  cubinet_check("python: package" cpu 300
                Python3::Interpreter -W error -m unittest discover -s tests/python)
  set(python_environment
      "PYTHONPATH=tools/python"
      "PYTHONDONTWRITEBYTECODE=1"
      "CUBINET_LIBRARY=$<TARGET_FILE:cubinet_jit>"
      "CUBINET_DRIVER=$<TARGET_FILE:fake_cuda>"
      "CUBINET_CACHE_DIR=none"
      "FAKE_CUDA_DEVICES=9.0,9.0"
      "CXX=${CMAKE_CXX_COMPILER}")
  cubinet_check("project: the README's Python program runs" cpu 120
                Python3::Interpreter "${tools}/check_docs.py" program python
                --driver "$<TARGET_FILE:fake_cuda>" --)
  set_tests_properties("python: package" "project: the README's Python program runs"
                       PROPERTIES ENVIRONMENT "${python_environment}")
endif()

cubinet_check(
  "project: embedding refuses a damaged tuning record" cpu 60 "$<TARGET_FILE:cubinet_embed>"
  --function unused --output "${PROJECT_BINARY_DIR}/tests/damaged_record.cpp"
  "${CMAKE_CURRENT_SOURCE_DIR}/embed/damaged_record")
set_tests_properties(
  "project: embedding refuses a damaged tuning record"
  PROPERTIES PASS_REGULAR_EXPRESSION
             "cubinet_embed: embed noted: noted/tuning/device.jsonl:2: [^;]+; remove the line")

# What the pages of `cubinet report` show, in Chromium.
cubinet_check("pages: report" pages 300 Python3::Interpreter tests/pages/check_report.py
              "$<TARGET_FILE:cubinet>")
cubinet_check("pages: check refuses defects" pages 600 Python3::Interpreter
              tests/pages/check_report.py --self-test "$<TARGET_FILE:cubinet>")
set_tests_properties("pages: report" "pages: check refuses defects"
                     PROPERTIES ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")

# The flags with which a stranger's program must be built to run with this build's library.
set(consumer_flags "${CMAKE_CXX_FLAGS}")
foreach(flag IN LISTS CUBINET_SANITIZE_FLAGS)
  string(APPEND consumer_flags " ${flag}")
endforeach()
separate_arguments(program_flags UNIX_COMMAND "${consumer_flags}")
cubinet_check(
  "project: the README's program compiles" cpu 120
  Python3::Interpreter "${tools}/check_docs.py" program cpp --
  "${CMAKE_CXX_COMPILER}" -std=c++20 -Wall -Wextra -Werror ${program_flags}
  "-I${PROJECT_SOURCE_DIR}/include" SOURCE "$<TARGET_FILE:cubinet_jit>" -o PROGRAM)
cubinet_check(
  "project: the README's C program runs" cpu 120
  Python3::Interpreter "${tools}/check_docs.py" program c --driver "$<TARGET_FILE:fake_cuda>" --
  "${CMAKE_CXX_COMPILER}" -x c -std=c11 -Wall -Wextra -Wpedantic -Werror ${program_flags}
  "-I${PROJECT_SOURCE_DIR}/include" SOURCE -x none "$<TARGET_FILE:cubinet_jit>"
  "-Wl,-rpath,$<TARGET_FILE_DIR:cubinet_jit>" -o PROGRAM)
set_tests_properties("project: the README's C program runs" PROPERTIES
                     ENVIRONMENT "${CUBINET_TEST_ENVIRONMENT}")

cubinet_check(
  "project: the program that tunes one's own template runs" cpu 120
  Python3::Interpreter "${tools}/check_docs.py" tuning "$<TARGET_FILE:fake_cuda>" --
  "${CMAKE_CXX_COMPILER}" -std=c++20 -Wall -Wextra -Werror ${program_flags}
  "-I${PROJECT_SOURCE_DIR}/include" "-I${CMAKE_CURRENT_SOURCE_DIR}/documents"
  "-I${CMAKE_CURRENT_SOURCE_DIR}/documents/my_templates" SOURCE "$<TARGET_FILE:cubinet_jit>"
  "-Wl,-rpath,$<TARGET_FILE_DIR:cubinet_jit>" -o PROGRAM)
set_tests_properties("project: the program that tunes one's own template runs"
                     PROPERTIES ENVIRONMENT "${CUBINET_TEST_ENVIRONMENT}")

# The README's page from a recording to a frozen image, command by command.
cubinet_check("project: page check refuses violations" cpu 60
              Python3::Interpreter "${tools}/check_page.py" --self-test)
cubinet_check(
  "project: the README's page from recording to frozen image runs" cpu 300
  Python3::Interpreter "${tools}/check_page.py" --driver "$<TARGET_FILE:fake_cuda>"
  --command "$<TARGET_FILE_DIR:cubinet>" --
  "${CMAKE_CXX_COMPILER}" -std=c++20 ${program_flags} "-I${PROJECT_SOURCE_DIR}/include" SOURCE
  "$<TARGET_FILE:cubinet_jit>" "-Wl,-rpath,$<TARGET_FILE_DIR:cubinet_jit>" -o PROGRAM)
set_tests_properties("project: the README's page from recording to frozen image runs"
                     PROPERTIES ENVIRONMENT "${CUBINET_TEST_ENVIRONMENT}")

cubinet_check("project: the README's page on tuning runs" cpu 300
              Python3::Interpreter "${tools}/check_page.py" --tuning
              --command "$<TARGET_FILE_DIR:cubinet>")
set_tests_properties("project: the README's page on tuning runs"
                     PROPERTIES ENVIRONMENT "${CUBINET_TEST_ENVIRONMENT}")

if(CUBINET_INSTALL)
  cubinet_check(
    "project: an installed package builds and runs a consumer" cpu 300
    "${CMAKE_COMMAND}"
    "-DBUILD_FOLDER=${PROJECT_BINARY_DIR}"
    "-DCONSUMER=${CMAKE_CURRENT_SOURCE_DIR}/consumer"
    "-DSCRATCH=${PROJECT_BINARY_DIR}/tests/installed"
    "-DGENERATOR=${CMAKE_GENERATOR}"
    "-DCOMPILER=${CMAKE_CXX_COMPILER}"
    "-DCOMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}"
    "-DFLAGS=${consumer_flags}"
    -P "${CMAKE_CURRENT_SOURCE_DIR}/consumer/run.cmake")
  set_tests_properties("project: an installed package builds and runs a consumer"
                       PROPERTIES ENVIRONMENT "${CUBINET_TEST_ENVIRONMENT}")
endif()

# Other versions of the formatter disagree about details, so only the reference version judges.
find_program(CLANG_FORMAT NAMES clang-format-14 clang-format)
if(CLANG_FORMAT)
  execute_process(COMMAND "${CLANG_FORMAT}" --version OUTPUT_VARIABLE clang_format_version)
  if(clang_format_version MATCHES "version 14\\.")
    cubinet_check("project: format" cpu 60 "${tools}/check_format.sh")
  endif()
endif()
find_program(CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
if(CLANG_TIDY AND NOT CUBINET_SANITIZE)
  cubinet_check("project: tidy" tidy 3600 "${tools}/check_tidy.sh" "${PROJECT_BINARY_DIR}")
endif()
