#!/usr/bin/env python3
"""Checks the project's documents.

usage: check_docs.py paths [ROOT]            every path that a document names exists
       check_docs.py program -- COMPILER...  the README's first C++ program compiles and links; in
                                             the compiler's command it is SOURCE, the result PROGRAM
       check_docs.py self-test               each kind of violation is refused
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCUMENTS = ["README.md", "kernel_templates/README.md"]
TOP_LEVEL = r"(?:src|include|kernel_templates|tests|tools|\.ci)"
# A path stands alone or in `code`; build/ and $VARIABLES are made by the reader and not looked up.
PATH = re.compile(rf"(?<![\w./$<-])({TOP_LEVEL}(?:/[\w.*<>{{}}-]+)+/?|CMake[\w.]+)")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
FENCE = re.compile(r"^```(?:cpp|c\+\+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Names that stand for something else: my_kernel, <name>, *.
STAND_IN = re.compile(r"[<>*{}]|\bmy_")


def missing_paths(root):
    """(document, path) of every path that is named and does not exist."""
    for document in DOCUMENTS:
        if not (root / document).exists():
            yield document, "(the document itself)"
            continue
        text = (root / document).read_text(encoding="utf-8")
        for path in sorted({match.rstrip(".") for match in PATH.findall(text)}):
            if not STAND_IN.search(path) and not (root / path).exists():
                yield document, path
        folder = (root / document).parent
        for link in sorted(set(LINK.findall(text))):
            if not (folder / link).exists():
                yield document, link


def first_program(root):
    """The first C++ block of the README that has a main function."""
    text = (root / "README.md").read_text(encoding="utf-8")
    for program in FENCE.findall(text):
        if re.search(r"\bint main\(", program):
            return program
    sys.exit("check docs: README.md has no C++ program with a main function")


def check_program(root, compiler):
    """Runs the compiler's command, SOURCE being the README's program and PROGRAM what it makes."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "readme_program.cpp"
        source.write_text(first_program(root), encoding="utf-8")
        names = {"SOURCE": str(source), "PROGRAM": f"{folder}/program"}
        command = [names.get(argument, argument) for argument in compiler]
        if subprocess.run(command, check=False).returncode != 0:
            sys.exit("check docs: the README's first program does not compile")
    print("check docs: the README's program compiles")


def self_test():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "kernel_templates").mkdir()
        (root / "src").mkdir()
        (root / "src/here.hpp").write_text("")
        (root / "kernel_templates/README.md").write_text("see [the other](../README.md)\n")
        readme = root / "README.md"
        readme.write_text("`src/here.hpp`, kernel_templates/<name>/manifest.json, build/src/gone\n")
        assert list(missing_paths(root)) == [], list(missing_paths(root))
        for text in ("see `src/gone.hpp`.", "run tools/gone.sh now", "[map](docs/gone.md)"):
            readme.write_text(text)
            assert len(list(missing_paths(root))) == 1, text
        readme.unlink()
        assert ("README.md", "(the document itself)") in missing_paths(root)
    print("self-test: 4 violations refused")


def main():
    root = Path(__file__).resolve().parent.parent
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb == "self-test":
        self_test()
    elif verb == "program" and sys.argv[2:3] == ["--"] and len(sys.argv) > 3:
        check_program(root, sys.argv[3:])
    elif verb == "paths":
        missing = list(missing_paths(Path(sys.argv[2]) if len(sys.argv) > 2 else root))
        if missing:
            sys.exit("\n".join(f"{document}: {path} does not exist" for document, path in missing))
        print("check docs: every path exists")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
