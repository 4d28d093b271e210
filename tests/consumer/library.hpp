// What the consumer uses of its static library.
#pragma once

const char* shift_template();
