#include "signature/include_scan.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "jit/error.hpp"

namespace jit {
namespace {

using namespace std::string_view_literals;

std::string names_of(std::string_view text, ScanPolicy policy = ScanPolicy::kTemplate) {
  std::string names;
  for (const Include& include : scan_includes(text, "t.cuh", policy)) {
    names += (names.empty() ? "" : " ") + include.name;
  }
  return names;
}

std::string refusal_of(std::string_view text) {
  try {
    scan_includes(text, "t.cuh");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidTemplate);
    return error.what();
  }
  return {};
}

TEST_CASE("includes are found in every form a compiler takes") {
  struct Case {
    std::string_view text;
    std::string_view names;
  };
  constexpr Case kCases[] = {
      {"#include \"a.h\"\n#include <b/c.h>\n", "a.h b/c.h"},
      {"#include \"a.h\"", "a.h"},
      {"  \t# \t include\"a.h\"\n", "a.h"},
      {"\f\v#include<a.h>\n", "a.h"},
      {"%:include \"a.h\"\n", "a.h"},
      {"/* x */ # /* y */ include /* z */ \"a.h\" // w\n", "a.h"},
      {"/* x\n y */ #include \"a.h\"\n", "a.h"},
      {"int a; /* x\n y */ #include \"a.h\"\n", "a.h"},
      {"#inc\\\nlude \"a.h\"\n", "a.h"},
      {"#include \\\n \"a.h\"\n", "a.h"},
      {"#include \\\r\n \"a.h\"\r\n", "a.h"},
      {"#include \"a\\\n.h\"\n", "a.h"},
      {"#if 0\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n", "a.h b.h"},
      {"\xEF\xBB\xBF#include \"a.h\"\n", "a.h"},
      {"/\\\n* x */ #include \"a.h\"\n", "a.h"},
      {"// don't\n#include \"a.h\"\n", "a.h"},
      {"#error don't\n#include \"a.h\"\n", "a.h"},
      {"int x = 1'000'000;\n#include \"a.h\"\n", "a.h"},
      {"int x = 0x1'f + 1e+5 + .5f;\n#include \"a.h\"\n", "a.h"},
      {"char c = '\"';\n#include \"a.h\"\nchar d = '\"';", "a.h"},
      {"char c = '\\'';\n#include \"a.h\"\n", "a.h"},
      {"auto s = \"\\\\\";\n#include \"a.h\"\n", "a.h"},
      {"auto s = \"/*\";\n#include \"a.h\"\n", "a.h"},
      {"asm(R\"(mov;\n \"x\" // y\n)\");\n#include \"a.h\"\n", "a.h"},
      {"asm(R\"x()\" )x\");\n#include \"a.h\"\n", "a.h"},
      {"int R; f(R);\n#include \"a.h\"\n", "a.h"},
  };
  for (const Case& one : kCases) {
    CAPTURE(one.text);
    CHECK(names_of(one.text) == one.names);
  }
}

TEST_CASE("what only looks like an include is none") {
  for (const std::string_view text :
       {"// #include \"a.h\"\n", "/*\n#include \"a.h\"\n*/\n", "int x; #include_\n",
        "auto s = \"#include <a.h>\";\n", "#define X #include\n", "// \\\n#include \"a.h\"\n",
        "int a # include \"a.h\"\n"}) {
    CAPTURE(text);
    CHECK(names_of(text).empty());
  }
}

TEST_CASE("lines are those of the file, whatever was spliced") {
  const auto includes =
      scan_includes("\\\n\\\n/*\n*/\n#include \"a.h\"\n\n#include \"b.h\"\n", "t");
  REQUIRE(includes.size() == 2);
  CHECK(includes[0].line == 5);
  CHECK(includes[1].line == 7);
  CHECK(includes[0].quoted);
}

TEST_CASE("what reading cannot resolve is refused with its line") {
  struct Case {
    std::string_view text;
    std::string_view message;
  };
  constexpr Case kCases[] = {
      {"\n#include NAME\n", "scan t.cuh(2): a computed #include cannot be checked"},
      {"#include\n", "a computed #include"},
      {"#include_next <a.h>\n", "#include_next is not taken"},
      {"#import \"a.h\"\n", "#import is not taken"},
      {"#embed \"a.bin\"\n", "#embed is not taken"},
      {"import <a.h>;\n", "import declarations are not taken"},
      {"#if __has_include(\"a.h\")\n#endif\n", "__has_include lets a build depend"},
      {"#if __has_include_next(\"a.h\")\n", "__has_include"},
      {"#define H __has_include\n", "__has_include"},
      {"#if __has_embed(\"a\")\n", "__has_embed"},
      {"#if __has_in\\\nclude(\"a.h\")\n", "__has_include"},
      {"#include \"a.h\n", "no closing quote"},
      {"#include <a.h\n", "no closing quote"},
      {"#include \"a b.h\"\n", "letters, digits"},
      {"#include \"\"\n", "letters, digits"},
      {"#include \"a\\b.h\"\n", "letters, digits"},
      {"int a;\r#include \"a.h\"\n", "a carriage return inside a line"},
      {"int a; ?\?/\n", "a trigraph"},
      {"?\?=include \"a.h\"\n", "a trigraph"},
      {"// x \\ \n#include \"a.h\"\n", "blanks after a backslash"},
      {"// x \\\t\r\n#include \"a.h\"\n", "blanks after a backslash"},
  };
  for (const Case& one : kCases) {
    CAPTURE(one.text);
    const std::string message = refusal_of(one.text);
    CAPTURE(message);
    CHECK(message.find(one.message) != std::string::npos);
  }
  CHECK(refusal_of("int a;\n\0#include \"a.h\"\n"sv).find("scan t.cuh(2): a NUL byte") == 0);
}

TEST_CASE("no pieces of __has_include are left to be pasted") {
  for (const std::string_view name : {"__has_include", "__has_include_next", "__has_embed"}) {
    for (std::size_t length = 1; length < name.size(); ++length) {
      const std::string text = "#define CAT(a, b) a##b\n#if CAT(" +
                               std::string(name.substr(0, length)) + "," +
                               std::string(name.substr(length)) + ")(\"/a\")\n#endif\n";
      CAPTURE(text);
      CHECK(refusal_of(text).find("scan t.cuh(2): ") == 0);
    }
  }
  CHECK(refusal_of("#define F(a) _##a\n").find("_ can be pasted") != std::string::npos);
  CHECK(refusal_of("#if F(has_\\\ninclude)\n").find("has_include can") != std::string::npos);
  CHECK(refusal_of("F(_has_embed)\n").find("_has_embed can") != std::string::npos);
}

TEST_CASE("names that only resemble pieces of __has_include stay usable") {
  constexpr std::string_view kText =
      "int ___, _h, has, has_, include, __hash, __half, __has_feature, __have_include;\n"
      "auto s = \"__has_\"; /* __has_ */ // _\n#if __has_cpp_attribute(nodiscard)\n#endif\n";
  CHECK(names_of(kText).empty());
}

TEST_CASE("forms that preprocessors read in two ways are refused") {
  for (const std::string_view text : {
           "auto s = \"a\"R\"(\n#include \"a.h\"\n)\";\n",  // literal suffix or raw string
           "auto s = 'a'R\"(\n#include \"a.h\"\n)\";\n",
           "auto s = R\"aaaaaaaaaaaaaaaaa(\n#include \"a.h\"\n)aaaaaaaaaaaaaaaaa\";\n",  // 17
                                                                                         // letters
           "auto s = R\"a b(\n)a b\";\n",
           "auto s = R\"\n#include \"a.h\"\n(",
           "auto s = R\"(\n#include \"a.h\"\n)\";\n",  // a directive inside
           "auto s = R\"(\n %:include \"a.h\"\n)\";\n",
           "auto s = R\"( /* )\";\n#include \"a.h\"\n/* */",
           "auto s = R\"( \" )\" /*\n#include \"a.h\"\n*/",
           "auto s = R\"( \\\n)\";\n",
           "#if 0\n1'0 /* '\n#endif\n#include \"a.h\"\n/* */\n",  // separator or literal
           "#if 0\ndon't /* it's\n#endif\n#include \"a.h\"\n/* */\n",
           "auto s = \"abc /*\n#include \"a.h\"\n*/\n",
       }) {
    CAPTURE(text);
    CHECK_FALSE(refusal_of(text).empty());
  }
}

TEST_CASE("toolkit headers may compute and ask") {
  constexpr std::string_view kText =
      "#if __has_include(<x.h>)\n#include NAME\n#include_next <y.h>\n#endif\n#include <z.h>\n";
  CHECK(names_of(kText, ScanPolicy::kToolkit) == "z.h");
}

TEST_CASE("any prefix of a source ends the scan") {
  constexpr std::string_view kText =
      "#include \"a.h\"\n/* c */ auto s = R\"x(a)x\"; char c = 'b'; int i = 1'0; %:include "
      "<b>\n\\\n";
  for (std::size_t length = 0; length <= kText.size(); ++length) {
    try {
      scan_includes(kText.substr(0, length), "t");
    } catch (const Error&) {
      continue;
    }
  }
  SUCCEED();
}

}  // namespace
}  // namespace jit
