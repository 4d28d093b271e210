#include "base/environment.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

using namespace jit;

TEST_CASE("an environment variable is read anew, and an empty one counts as unset") {
  constexpr const char* kName = "CUBINET_TEST_VARIABLE";
  ::unsetenv(kName);
  CHECK_FALSE(get_env(kName));
  ::setenv(kName, "value", 1);
  CHECK(get_env(kName) == "value");
  ::setenv(kName, "", 1);
  CHECK_FALSE(get_env(kName));
  ::unsetenv(kName);
}
