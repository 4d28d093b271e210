// The code of a static library that embeds a template: it names the template and nothing else, so
// that no symbol ties it to the tables.
#include "library.hpp"

const char* shift_template() { return "consumer_shift"; }
