/* Precompiles a shipped template into the cache folder given; needs no GPU. */
#include <jit/c.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  cubinet_runtime_options options = cubinet_runtime_options_init();
  options.cache_dir = argv[1];
  cubinet_runtime* runtime = NULL;
  if (cubinet_runtime_create(&options, &runtime) != CUBINET_OK) {
    puts(cubinet_last_error());
    return 1;
  }

  const cubinet_constant constants[] = {cubinet_int("HEAD_SIZE", 128),
                                        cubinet_type("INPUT_TYPE", CUBINET_BF16)};
  cubinet_request request = cubinet_request_init();
  request.name = "merge_attn_states";
  request.constants = constants;
  request.constant_count = 2;
  cubinet_precompile_report report = cubinet_precompile_report_init();
  const cubinet_status status = cubinet_precompile(runtime, &request, "sm_90a", &report);
  puts(status == CUBINET_OK ? report.signature : cubinet_last_error());
  /* Without NVRTC nothing compiles, but the template was found and its constants accepted. */
  const bool is_known = status == CUBINET_OK || status == CUBINET_NO_COMPILER;

  request.name = "consumer_unknown";
  const bool is_refused =
      cubinet_precompile(runtime, &request, "sm_90a", NULL) == CUBINET_UNKNOWN_TEMPLATE &&
      strstr(cubinet_last_error(), "consumer_unknown") != NULL;
  cubinet_runtime_destroy(runtime);
  return is_known && is_refused ? 0 : 1;
}
