#include "signature/bundle.hpp"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "jit/error.hpp"
#include "runtime/template_registry.hpp"
#include "signature/template_directory.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

// World is a root of templates with what lies around it.
class World {
 public:
  World() {
    directory.write("root/t/t.cuh", "#pragma once\n");
    sources.root = directory / "root";
    sources.toolkit_roots = {directory / "toolkit"};
  }

  std::string names(std::string_view entry = "t/t.cuh") {
    std::string names;
    for (const table::File& file : make_bundle(entry, sources, arena)) {
      names += (names.empty() ? "" : " ") + std::string(file.name);
    }
    return names;
  }

  // The refusal of a bundle whose entry is `body`; empty if it is taken.
  std::string refusal(std::string_view body) {
    directory.write("root/t/t.cuh", body);
    try {
      make_bundle("t/t.cuh", sources, arena);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidTemplate);
      return error.what();
    }
    return {};
  }

  TemporaryDirectory directory;
  BundleSources sources;
  TableArena arena;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a bundle is the closure of its includes, sorted, in branches of every kind") {
  World world;
  world.directory.write("root/t/t.cuh", "#include \"b.h\"\n#if 0\n#include \"t/c.h\"\n#endif\n");
  world.directory.write("root/t/b.h", "#include \"other/d.h\"\n#include \"b.h\"\n");
  world.directory.write("root/t/c.h", "#include \"t/t.cuh\"\n");
  world.directory.write("root/other/d.h", "");
  CHECK(world.names() == "b.h other/d.h t/c.h t/t.cuh");
}

TEST_CASE("a file outside the root is refused, however it is named") {
  World world;
  world.directory.write("secret.h", "int secret;\n");
  const std::string absolute = (world.directory / "secret.h").string();
  CHECK(has(world.refusal("\n#include \"" + absolute + "\"\n"), "t.cuh(2): #include"));
  CHECK(has(world.refusal("#include \"/etc/hostname\"\n"), "is absolute"));
  CHECK(has(world.refusal("#include \"../secret.h\"\n"), "leaves the template's root"));
  CHECK(has(world.refusal("#include \"../../secret.h\"\n"), "leaves the template's root"));
  CHECK(has(world.refusal("#include \"t/../../secret.h\"\n"), "leaves the template's root"));
  CHECK(has(world.refusal("#include <../secret.h>\n"), "leaves the template's root"));
  fs::create_symlink(world.directory / "secret.h", world.directory / "root/t/link.h");
  CHECK(has(world.refusal("#include \"link.h\"\n"), "is neither below"));
  fs::create_directory_symlink(world.directory.path(), world.directory / "root/up");
  CHECK(has(world.refusal("#include \"up/secret.h\"\n"), "is neither below"));
  CHECK(has(world.refusal("#include \"t\"\n"), "is neither below"));
}

TEST_CASE("dots that stay inside the root are taken") {
  World world;
  world.directory.write("root/other/d.h", "");
  fs::create_symlink(world.directory / "root/other/d.h", world.directory / "root/t/inside.h");
  CHECK(world.refusal("#include \"../other/d.h\"\n#include \"inside.h\"\n").empty());
  CHECK(world.names() == "../other/d.h inside.h t/t.cuh");
}

TEST_CASE("a header planted in the working directory is not seen") {
  World world;
  const fs::path before = fs::current_path();
  world.directory.write("cwd/planted.h", "int planted;\n");
  fs::current_path(world.directory / "cwd");
  const std::string refusal = world.refusal("#include \"planted.h\"\n#include <planted.h>\n");
  fs::current_path(before);
  CHECK(has(refusal, "is neither below"));
}

TEST_CASE("one spelling for two files is refused") {
  World world;
  world.directory.write("root/u/a.h", "int in_u;\n");
  world.directory.write("root/t/a.h", "int in_t;\n");
  world.directory.write("root/u/u.h", "#include \"a.h\"\n");
  CHECK(has(world.refusal("#include \"a.h\"\n#include \"u/u.h\"\n"), "names two different files"));
  world.directory.write("root/u/a.h", "int in_t;\n");
  CHECK(world.refusal("#include \"a.h\"\n#include \"u/u.h\"\n").empty());
}

TEST_CASE("a special file is no header") {
  World world;
  REQUIRE(::mkfifo((world.directory / "root/t/fifo.h").c_str(), 0600) == 0);
  CHECK(has(world.refusal("#include \"fifo.h\"\n"), "is neither below"));
}

TEST_CASE("shipped headers are in reach of every template, its own files first") {
  World world;
  world.sources.shipped = shipped_headers();
  CHECK(world.refusal("#include \"common/types.cuh\"\n").empty());
  CHECK(has(world.names(), "common/types.cuh"));
  world.directory.write("root/common/types.cuh", "// mine\n");
  const auto files = make_bundle("t/t.cuh", world.sources, world.arena);
  REQUIRE(files.size() == 2);
  CHECK(files[0].text == "// mine\n");
}

TEST_CASE("toolkit headers are taken if listed, with their closure, and only from the toolkit") {
  World world;
  world.directory.write("toolkit/cuda_x.h",
                        "#include \"detail/y.h\"\n#include COMPUTED\n#include <absent.h>\n");
  world.directory.write("toolkit/detail/y.h", "#include \"z.h\"\n");
  world.directory.write("toolkit/detail/z.h", "");
  CHECK(has(world.refusal("#include <cuda_x.h>\n"), "listed in toolkit_headers"));
  world.sources.toolkit_headers = {"cuda_x.h"};
  CHECK(world.refusal("#include <cuda_x.h>\n").empty());
  CHECK(world.names() == "cuda_x.h detail/y.h t/t.cuh z.h");
  for (const table::File& file : make_bundle("t/t.cuh", world.sources, world.arena)) {
    CHECK(file.toolkit == (file.name != "t/t.cuh"));
  }
  world.directory.write("toolkit/cuda_x.h",
                        "#include \"../secret.h\"\n#include \"/etc/hostname\"\n");
  world.directory.write("secret.h", "");
  CHECK(world.names() == "cuda_x.h t/t.cuh");
}

TEST_CASE("the digest depends on names and texts and nothing else") {
  World first;
  World second;
  const auto digest = [](World& world) {
    return digest_of(make_bundle("t/t.cuh", world.sources, world.arena));
  };
  CHECK(digest(first) == digest(second));
  fs::last_write_time(second.directory / "root/t/t.cuh", fs::file_time_type::min());
  CHECK(digest(first) == digest(second));
  second.directory.write("root/t/t.cuh", "#pragma once\n ");
  CHECK(digest(first) != digest(second));
}

TEST_CASE("a template on disk is named after its folder, and its errors name its file") {
  const TemporaryDirectory directory;
  TableArena arena;
  const fs::path folder = testing::write_tiny(directory) / "tiny";
  CHECK(read_template(folder, {}, arena).files.size() == 2);
  CHECK(read_template(folder / "", {}, arena).name == "tiny");
  fs::rename(folder, directory / "templates/small");
  CHECK_THROWS_AS(read_template(directory / "templates/small", {}, arena), Error);
  CHECK_THROWS_AS(read_template(directory / "templates/none", {}, arena), Error);
  CHECK_THROWS_AS(find_templates(directory / "nowhere"), Error);
  CHECK(find_templates(directory / "templates").size() == 1);
}

TEST_CASE("shipped templates are the same from disk and from the tables") {
  TableArena arena;
  const fs::path root = fs::path(testing::kSourceDir) / "kernel_templates";
  for (const table::Template* shipped : embedded_templates()) {
    CAPTURE(shipped->name);
    const table::Template read = read_template(root / shipped->name, {}, arena);
    CHECK(read.bundle_sha256 == shipped->bundle_sha256);
    CHECK(read.constants.size() == shipped->constants.size());
    CHECK(read.presets.size() == shipped->presets.size());
    CHECK(fs::path(shipped->origin).is_relative());
    for (const table::File& file : shipped->files) CHECK(fs::path(file.path).is_relative());
  }
}

}  // namespace
}  // namespace jit
