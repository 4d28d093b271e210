// Holds the include scan against NVRTC itself: whatever the scan lets pass, NVRTC must ask for no
// file that the scan did not name.
#include <dlfcn.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "compile/toolchain.hpp"
#include "jit/error.hpp"
#include "signature/include_scan.hpp"

namespace jit {
namespace {

// Nvrtc is the four calls that these tests need, taken from the library by hand.
class Nvrtc {
 public:
  static const Nvrtc* find() {
    static const std::optional<Nvrtc> found = open();
    return found ? &*found : nullptr;
  }

  // The log of compiling `text`, with empty headers of these names in memory.
  std::string log_of(const std::string& text, const std::vector<std::string>& names) const {
    std::vector<const char*> spelled;
    for (const std::string& name : names) spelled.push_back(name.c_str());
    const std::vector<const char*> empty(names.size(), "");
    void* program = nullptr;
    create_(&program, text.c_str(), "u.cu", static_cast<int>(names.size()), empty.data(),
            spelled.data());
    constexpr const char* kOptions[] = {"--gpu-architecture=sm_90", "--std=c++17",
                                        "--no-source-include", "-w"};
    compile_(program, 4, kOptions);
    std::size_t size = 0;
    log_size_(program, &size);
    std::string log(size, '\0');
    log_(program, log.data());
    destroy_(&program);
    return log;
  }

 private:
  static std::optional<Nvrtc> open() {
    const auto location = find_toolchain({}, nullptr);
    if (!location) return std::nullopt;
    void* handle = ::dlopen(location->nvrtc.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    // NVRTC opens and closes this one for each compile; the thread sanitizer wants it to stay.
    ::dlopen(location->builtins.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) return std::nullopt;
    Nvrtc nvrtc;
    const auto take = [&](auto& into, const char* name) {
      into = reinterpret_cast<std::decay_t<decltype(into)>>(::dlsym(handle, name));
    };
    take(nvrtc.create_, "nvrtcCreateProgram");
    take(nvrtc.compile_, "nvrtcCompileProgram");
    take(nvrtc.log_size_, "nvrtcGetProgramLogSize");
    take(nvrtc.log_, "nvrtcGetProgramLog");
    take(nvrtc.destroy_, "nvrtcDestroyProgram");
    return nvrtc;
  }

  int (*create_)(void**, const char*, const char*, int, const char* const*,
                 const char* const*) = nullptr;
  int (*compile_)(void*, int, const char* const*) = nullptr;
  int (*log_size_)(void*, std::size_t*) = nullptr;
  int (*log_)(void*, char*) = nullptr;
  int (*destroy_)(void**) = nullptr;
};

bool asks_for_a_file(const std::string& log) {
  return log.find("open source file") != std::string::npos;
}

// True if the scan accepts `text` and NVRTC still asks for a file that the scan did not name.
bool slips_through(const Nvrtc& nvrtc, const std::string& text) {
  std::vector<std::string> names;
  try {
    for (const Include& include : scan_includes(text, "u.cu")) names.push_back(include.name);
  } catch (const Error&) {
    return false;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return asks_for_a_file(nvrtc.log_of(text, names));
}

// Pieces that change what a preprocessor takes for a comment, a literal or a directive.
constexpr const char* kPieces[] = {
    "R\"(",       ")\"",         "\"",        "'",     "/*",         "*/",         "//",
    "\n",         "\n",          "\n#if 0\n", "\\\n",  "\n#if 1\n",  "\n#else\n",  "u8",
    "L",          "R",           "R\"x(",     ")x\"",  "1",          "0x1",        "a",
    "$",          "\xc3\xa9",    " ",         "\t",    "\n#endif\n", "%:",         "#",
    "<",          ">",           "\\",        "\\\"",  "\\'",        "(",          ")",
    "##",         "1.e",         "e+",        "\"a\"", "'a'",        "\"\"R",      "\r\n",
    "_Pragma(\"", "#pragma ",    "#error ",   "asm(",  "\v",         "u8R\"(",     "%:%:",
    "\\u00e9",    "R\"",         ".",         "+",     "<:",         "\n#undef A", "R\"a b(",
    "#define A ", "\n#elif 0\n", "include ",  "1'0"};

std::string random_source(std::mt19937& random) {
  std::string text;
  int includes = 0;
  const auto include = [&] { text += "\n#include \"p" + std::to_string(++includes) + ".h\"\n"; };
  const auto pieces = random() % 14 + 3;
  for (std::size_t i = 0; i < pieces; ++i) {
    if (random() % 4 == 0) include();
    text += kPieces[random() % std::size(kPieces)];
  }
  include();
  if (random() % 2 == 0) text += "*/";
  return text;
}

TEST_CASE("what once slipped through to NVRTC is refused or named") {
  const Nvrtc* nvrtc = Nvrtc::find();
  if (nvrtc == nullptr) SKIP("no NVRTC here");
  for (const char* text : {
           "int a; /* \n */ #include \"/etc/hostname\"\n",
           "const char* s = \"a\"R\"(\n#include \"/etc/hostname\"\n)\";\n",
           "const char* s = 'a'R\"(\n#include \"/etc/hostname\"\n)\";\n",
           "const char* s = R\"aaaaaaaaaaaaaaaaaaaa(\n#include "
           "\"/etc/hostname\"\n)aaaaaaaaaaaaaaaaaaaa\";",
           "#if 0\n1'0 /* '\n#endif\n#include \"planted.h\"\n/* */\n",
       }) {
    CAPTURE(text);
    CHECK_FALSE(slips_through(*nvrtc, text));
  }
  // Proof that NVRTC really reads these: without headers it asks for the file, or prints it.
  CHECK(asks_for_a_file(nvrtc->log_of("int a; /* \n */ #include \"planted.h\"\n", {})));
  CHECK(asks_for_a_file(
      nvrtc->log_of("#if 0\n1'0 /* '\n#endif\n#include \"planted.h\"\n/* */\n", {})));
}

TEST_CASE("pasting tokens does not smuggle __has_include past the scan") {
  const Nvrtc* nvrtc = Nvrtc::find();
  if (nvrtc == nullptr) SKIP("no NVRTC here");
  const auto asks = [&](const std::string& text) {
    return nvrtc->log_of(text, {}).find("found it") != std::string::npos;
  };
  constexpr std::string_view kName = "__has_include";
  for (std::size_t length = 1; length < kName.size(); ++length) {
    const std::string text =
        "#define CAT(a, b) a##b\n#if CAT(" + std::string(kName.substr(0, length)) + "," +
        std::string(kName.substr(length)) + ")(\"/etc/passwd\")\n#error found it\n#endif\n";
    CAPTURE(text);
    CHECK(asks(text));  // proof that NVRTC really looks
    CHECK_THROWS_AS(scan_includes(text, "u.cu"), Error);
  }
}

TEST_CASE("no byte before, inside or behind a directive hides it from the scan") {
  const Nvrtc* nvrtc = Nvrtc::find();
  if (nvrtc == nullptr) SKIP("no NVRTC here");
  for (int byte = 1; byte < 256; byte += byte < 34 || byte > 0xee ? 1 : 7) {
    const std::string odd(1, static_cast<char>(byte));
    CAPTURE(byte);
    CHECK_FALSE(slips_through(*nvrtc, "int a;\n" + odd + "#include \"p.h\"\n"));
    CHECK_FALSE(slips_through(*nvrtc, "// " + odd + "\n/*\n#include \"p.h\"\n// */\n"));
  }
}

TEST_CASE("random sources do not slip through the scan") {
  const Nvrtc* nvrtc = Nvrtc::find();
  if (nvrtc == nullptr) SKIP("no NVRTC here");
  std::mt19937 random(20'260'101);
  for (int round = 0; round < 250; ++round) {
    const std::string text = random_source(random);
    CAPTURE(text);
    REQUIRE_FALSE(slips_through(*nvrtc, text));
  }
}

TEST_CASE("twenty thousand random sources do not slip through the scan", "[slow]") {
  const Nvrtc* nvrtc = Nvrtc::find();
  if (nvrtc == nullptr) SKIP("no NVRTC here");
  std::mt19937 random(4);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = random_source(random);
    CAPTURE(text);
    REQUIRE_FALSE(slips_through(*nvrtc, text));
  }
}

}  // namespace
}  // namespace jit
