// Rendering: from a signature to the text that the compiler sees, and to texts for people.
#pragma once

#include <string>

#include "signature/key.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// The unit: the template's include, `struct Config` of named constants, one entry. Deterministic,
// with no documentation, path or time in it. Cost: about a microsecond.
std::string render_unit(const Signature& signature);

// The same with the manifest's documentation beside every constant, for `cubinet render`.
std::string render_documented(const Signature& signature);

// One self-contained .cu: the unit with the template's files inlined in place of their #include and
// #line directives that keep the template's own file and line in messages. Plain nvcc compiles it,
// by the command in its head; toolkit headers stay #include.
//
// Errors: kInvalidTemplate for files without #pragma once that include each other without end.
std::string render_standalone(const Signature& signature, Debug debug = Debug::kNone);

}  // namespace jit::inline v1
