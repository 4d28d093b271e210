# What the sanitizers are told while tests run: sets CUBINET_TEST_ENVIRONMENT.

set(support "${CMAKE_CURRENT_SOURCE_DIR}/support")
set(CUBINET_TEST_ENVIRONMENT)
if(CUBINET_SANITIZE MATCHES "address")
  list(APPEND CUBINET_TEST_ENVIRONMENT
       "ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1"
       "LSAN_OPTIONS=suppressions=${support}/lsan.supp:print_suppressions=0"
       "UBSAN_OPTIONS=print_stacktrace=1")
elseif(CUBINET_SANITIZE MATCHES "thread")
  list(APPEND CUBINET_TEST_ENVIRONMENT
       "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${support}/tsan.supp")
endif()
