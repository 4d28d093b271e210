#!/usr/bin/env python3
"""Checks the layering: an include goes down or to include/jit, never up, never sideways.

Besides: include/jit needs the standard library alone; only load and compile name CUDA or NVRTC
functions; no file is longer than 400 lines; every source and test is in its folder's sources.cmake;
whatever in src/ a thread may wait for says what becomes of it in a child of fork(), which has it as
it was, held perhaps by a thread that the child does not have.

usage: check_layers.py [ROOT] | --self-test
"""

import re
import sys
import tempfile
from pathlib import Path

# Lower ranks may be included by higher ones; equal ranks are peers and never include each other.
RANKS = {"base": 0, "signature": 1, "render": 2, "compile": 2, "cache": 2, "load": 2, "tune": 2,
         "runtime": 3, "kernels": 4, "c_abi": 5}
PRIVATE_TO = {"embed": {"base", "signature"}}  # tools that see only some layers
DRIVER_LAYERS = {"load", "compile"}
MAX_LINES = 400
C_HEADERS = {"stdbool.h", "stddef.h", "stdint.h"}  # all that the C interface needs

SUFFIXES = {".h", ".hpp", ".cpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
DRIVER_NAME = re.compile(r"\b(cu[A-Z]\w+|nvrtc[A-Z]\w*)\b")
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>\w*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL)
# A lock, or a local static that the first thread makes while others wait.
WAITED_FOR = re.compile(
    r"\bstd::(?:\w+_)?mutex\b|\bstd::condition_variable|\bstd::once_flag\b|"
    r"^ +static (?!constexpr\b|constinit\b|thread_local\b)[^;(){}=]*=\s*(?![\s\d]|nullptr|true|false)",
    re.MULTILINE)
LISTED = re.compile(r"[\w./-]+\.cpp")


def code_of(text):
    """The text without comments and literals, line numbers kept."""
    return NOT_CODE.sub(lambda match: "\n" * match[0].count("\n"), text)


def layer_of(path):
    """("src", "cache") for src/cache/entry.cpp; ("include", "jit"); ("tools", "cubinet")."""
    parts = path.parts
    return parts[0], parts[1] if len(parts) > 2 else ""


def include_problem(path, quote, name):
    """Why this file may not include `name`, or None."""
    top, layer = layer_of(path)
    target = name.split("/")[0]
    if quote == "<":
        third_party = ("." in name or "/" in name) and not (path.suffix == ".h"
                                                            and name in C_HEADERS)
        return "include/jit takes only the standard library" if top == "include" and third_party \
            else None
    if target == "jit":
        return None
    if top == "include":
        return "include/jit includes only jit/ and the standard library"
    if target not in RANKS:
        return None
    if top == "tools":
        allowed = PRIVATE_TO.get(layer)
        return f"tools/{layer} sees only {sorted(allowed)}" if allowed and target not in allowed \
            else None
    if target == layer or RANKS[target] < RANKS[layer]:
        return None
    way = "sideways" if RANKS[target] == RANKS[layer] else "up"
    return f"{layer} includes {way} into {target}"


def speaks_of_forks(root, path):
    """Whether the file, or its header or source, has a word on forks."""
    both = [root / path.with_suffix(suffix) for suffix in (".hpp", ".cpp")]
    return any("fork" in file.read_text(encoding="utf-8").lower() for file in both if file.exists())


def check_file(root, path):
    """The problems of one source file."""
    text = (root / path).read_text(encoding="utf-8")
    top, layer = layer_of(path)
    lines = text.count("\n")
    if lines > MAX_LINES:
        yield f"{path}: {lines} lines; at most {MAX_LINES}: is there a second noun inside?"
    if top == "tests":
        return
    if top == "src" and layer not in RANKS:
        yield f"{path}: src/{layer} is no layer"
        return
    for match in INCLUDE.finditer(text):
        problem = include_problem(path, match[1], match[2])
        if problem:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: includes {match[2]}: {problem}"
    code = code_of(text)
    waited_for = WAITED_FOR.search(code) if top == "src" else None
    if waited_for and not speaks_of_forks(root, path):
        line = code.count("\n", 0, waited_for.start()) + 1
        yield f"{path}:{line}: a thread may wait here; say what becomes of it in a forked child"
    if layer not in DRIVER_LAYERS:
        for match in DRIVER_NAME.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: names {match[0]}; only load and compile may"


def check_lists(root):
    """Every .cpp is in the sources.cmake of its folder, and nothing else is."""
    for folder in sorted({path.parent for top in ("src", "tests", "tools")
                          for path in (root / top).rglob("sources.cmake")}):
        text = re.sub(r"#[^\n]*", "", (folder / "sources.cmake").read_text(encoding="utf-8"))
        listed = set(LISTED.findall(text))
        present = {str(path.relative_to(folder)) for path in folder.rglob("*.cpp")}
        for name in sorted(listed ^ present):
            state = "is not listed in its sources.cmake" if name in present else "does not exist"
            yield f"{(folder / name).relative_to(root)}: {state}"
    for top in ("src", "tests"):
        for path in sorted((root / top).glob("*/*.cpp")):
            if not (path.parent / "sources.cmake").exists() and path.parent.name != "consumer":
                yield f"{path.relative_to(root)}: its folder has no sources.cmake"


def check_tree(root):
    """All problems below `root`."""
    problems = []
    for top in ("include", "src", "tools", "tests"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES:
                problems += check_file(root, path.relative_to(root))
    return problems + list(check_lists(root))


GOOD_TREE = {
    "include/jit/a.hpp": '#include <vector>\n#include "jit/b.hpp"\n// cuLaunchKernel in a comment\n',
    "include/jit/c.h": '#include <stdint.h>\n#include "jit/d.h"\n',
    "src/c_abi/z.cpp": '#include "jit/c.h"\n#include "kernels/k.hpp"\n',
    "src/c_abi/sources.cmake": "set(CUBINET_SOURCES_C_ABI z.cpp)\n",
    "src/base/x.hpp": '#include <fcntl.h>\n#include "jit/a.hpp"\n',
    "src/cache/y.cpp": '#include "cache/y.hpp"\n#include "base/x.hpp"\nauto s = "cuInit";\n',
    "src/cache/sources.cmake": "set(CUBINET_SOURCES_CACHE y.cpp) # not z.cpp\n",
    "src/load/l.hpp": '#include "signature/k.hpp"\nint cuInit(unsigned);\n',
    "src/runtime/r.hpp": '#include "load/l.hpp"\n#include "cache/y.hpp"\n',
    "src/runtime/w.hpp": "// Fork: taken before it, given back after it.\nstd::mutex mutex;\n",
    "src/runtime/w.cpp": "void f() {\n  static int* const made = new int;\n}\n",
    "src/runtime/sources.cmake": "set(CUBINET_SOURCES_RUNTIME w.cpp)\n",
    "src/base/c.hpp": "// std::mutex\nvoid f() {\n  static const int zero = 0;\n}\n",
    "tools/cubinet/m.hpp": '#include "runtime/r.hpp"\n#include "CLI/CLI.hpp"\n',
    "tools/embed/e.hpp": '#include "signature/k.hpp"\n',
}
BAD_FILES = {
    "an include up": ("src/base/v.hpp", '#include "cache/y.hpp"\n'),
    "an include sideways": ("src/render/v.hpp", '#include "cache/y.hpp"\n'),
    "a runtime in a peer": ("src/load/v.hpp", '#include "runtime/r.hpp"\n'),
    "a private header in include/jit": ("include/jit/v.hpp", '#include "base/x.hpp"\n'),
    "a third party in include/jit": ("include/jit/v.hpp", "#include <fmt/core.h>\n"),
    "a C header in a C++ one": ("include/jit/v.hpp", "#include <stdint.h>\n"),
    "the system in the C interface": ("include/jit/v.h", "#include <unistd.h>\n"),
    "a kernel's front end over the C interface": ("src/kernels/v.hpp", '#include "c_abi/z.hpp"\n'),
    "the embedder seeing the cache": ("tools/embed/v.hpp", '#include "cache/y.hpp"\n'),
    "a driver call outside load": ("src/runtime/v.hpp", "int x = cuInit(0);\n"),
    "a driver call in a tool": ("tools/cubinet/v.hpp", "int x = cuInit(0);\n"),
    "an NVRTC call outside compile": ("src/cache/v.hpp", "auto f = &nvrtcVersion;\n"),
    "a lock that no fork knows": ("src/cache/v.hpp", "std::shared_mutex lock;\n"),
    "a static that no fork knows": ("src/load/v.hpp", "void f() {\n  static int x = g();\n}\n"),
    "a file that is too long": ("src/base/v.hpp", "\n" * 401),
    "a folder that is no layer": ("src/misc/v.hpp", "\n"),
    "a source that is not listed": ("src/cache/v.cpp", "\n"),
    "a source in a folder without a list": ("src/tune/v.cpp", "\n"),
}


def self_test():
    """The good tree passes; each violation alone is refused, by the name of its file."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path, text in GOOD_TREE.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        assert check_tree(root) == [], check_tree(root)
        for what, (path, text) in BAD_FILES.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
            problems = check_tree(root)
            assert len(problems) == 1 and problems[0].startswith(path), (what, problems)
            (root / path).unlink()
    print(f"self-test: {len(BAD_FILES)} violations refused")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    root = Path(sys.argv[1]) if len(sys.argv) == 2 else Path(__file__).resolve().parent.parent
    problems = check_tree(root)
    if problems:
        sys.exit("\n".join(problems))
    print("check layers: fine")


if __name__ == "__main__":
    main()
