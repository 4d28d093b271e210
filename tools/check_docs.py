#!/usr/bin/env python3
"""Checks the project's documents.

usage: check_docs.py paths [ROOT]            every path that a document names exists
       check_docs.py program LANGUAGE [--driver LIBCUDA] -- COMMAND...
                                             the README's programs in cpp, c or python build;
                                             in COMMAND it is SOURCE, the result PROGRAM. With
                                             LIBCUDA it must then run, and without a driver print
                                             an error and fail. COMMAND may be empty for python
       check_docs.py tuning LIBCUDA -- COMMAND...
                                             the tuning program of kernel_templates/README.md builds
                                             and, with a driver that runs nothing, finds each
                                             variant wrong
       check_docs.py variables CUBINET       doctor knows each of the README's variables
       check_docs.py self-test               each kind of violation is refused
"""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

DOCUMENTS = ["README.md", "kernel_templates/README.md"]
TOP_LEVEL = r"(?:src|include|kernel_templates|tests|tools|\.ci)"
# A path stands alone or in `code`; build/ and $VARIABLES are made by the reader and not looked up.
PATH = re.compile(rf"(?<![\w./$<-])({TOP_LEVEL}(?:/[\w.*<>{{}}-]+)+/?|CMake[\w.]+)")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
FENCE = re.compile(r"^```(cpp|c|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What makes a block a program, and the name of its file.
PROGRAM = {"cpp": (r"\bint main\(", "readme_program.cpp"), "c": (r"\bint main\(", "program.c"),
           "python": (r"^import ", "program.py")}
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


def programs_of(root, language):
    """The blocks of the README in that language that are whole programs; at least one."""
    text = (root / "README.md").read_text(encoding="utf-8")
    programs = [program for found, program in FENCE.findall(text)
                if found == language and re.search(PROGRAM[language][0], program, re.MULTILINE)]
    if not programs:
        sys.exit(f"check docs: README.md has no whole program in {language}")
    return programs


def first_program(root, language):
    return programs_of(root, language)[0]


def run_program(command, driver):
    """(exit status, what it says) of a program that finds this CUDA driver and an empty cache."""
    result = subprocess.run(command, check=False, capture_output=True, text=True,
                            env={**os.environ, "CUBINET_DRIVER": driver,
                                 "CUBINET_CACHE_DIR": "none"})
    return result.returncode, result.stdout + result.stderr


def check_programs(root, language, driver, command):
    for text in programs_of(root, language):
        check_program(text, language, driver, command)


def check_program(text, language, driver, command):
    """Runs the command, SOURCE being the program and PROGRAM what it makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / PROGRAM[language][1]
        source.write_text(text, encoding="utf-8")
        names = {"SOURCE": str(source), "PROGRAM": f"{folder}/program"}
        command = [names.get(argument, argument) for argument in command]
        if command and subprocess.run(command, check=False).returncode != 0:
            sys.exit(f"check docs: a program of the README in {language} does not build:\n{text}")
        if driver:
            program = [sys.executable, str(source)] if language == "python" else [names["PROGRAM"]]
            status, text = run_program(program, driver)
            if status != 0 or "registers" not in text:
                sys.exit(f"check docs: the README's program in {language} fails:\n{text}")
            status, text = run_program(program, "/no/such/libcuda.so")
            if status != 1 or "/no/such/libcuda.so" not in text or "Traceback" in text:
                sys.exit(f"check docs: without a driver the README's program in {language} does "
                         f"not say so:\n{text}")
    print(f"check docs: the README's program in {language} is fine")


def check_tuning_program(root, driver, command):
    """The same of the program that tunes a template of one's own, which is in tests/documents."""
    text = (root / "kernel_templates/README.md").read_text(encoding="utf-8")
    programs = re.findall(r"^   ```cpp\n(.*?)^   ```", text, re.MULTILINE | re.DOTALL)
    programs = [textwrap.dedent(text) for text in programs if "int main(" in text]
    if len(programs) != 1:
        sys.exit(f"check docs: kernel_templates/README.md has {len(programs)} whole programs, not 1")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tune_my_kernel.cpp"
        source.write_text(programs[0], encoding="utf-8")
        names = {"SOURCE": str(source), "PROGRAM": f"{folder}/program"}
        if subprocess.run([names.get(word, word) for word in command], check=False).returncode != 0:
            sys.exit("check docs: the tuning program does not build")
        os.chdir(root / "tests/documents")  # where its my_templates are
        for libcuda, wanted in ((driver, "THREADS=64 is wrong: num_tokens=1: element 0 is wrong"),
                                ("/no/such/libcuda.so", "/no/such/libcuda.so")):
            status, text = run_program([names["PROGRAM"]], libcuda)
            if status != 1 or wanted not in text:
                sys.exit(f"check docs: exit code {status}, and no {wanted!r} from the tuning "
                         f"program:\n{text}")
    print("check docs: the tuning program is fine")


def check_variables(root, command):
    """`cubinet doctor` takes none of the variables that the README lists for a slip."""
    text = (root / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| `(CUBINET_\w+)`", text, re.MULTILINE)
    report = subprocess.run([command, "doctor"], check=False, capture_output=True, text=True,
                            env={**os.environ, **dict.fromkeys(names, "/no/such")}).stdout
    slips = re.findall(r"(\w+) is set, and nothing reads it", report)
    if not names or "environment" not in report or slips:
        sys.exit(f"check docs: doctor does not know {', '.join(slips) or 'anything'}:\n{report}")
    print(f"check docs: doctor knows {len(names)} variables")


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
    elif verb == "program" and sys.argv[2:3] and sys.argv[2] in PROGRAM and "--" in sys.argv:
        split = sys.argv.index("--")
        options = sys.argv[3:split]
        if options and (len(options) != 2 or options[0] != "--driver"):
            sys.exit(__doc__)
        check_programs(root, sys.argv[2], options[1] if options else "", sys.argv[split + 1:])
    elif verb == "tuning" and sys.argv[3:4] == ["--"]:
        check_tuning_program(root, sys.argv[2], sys.argv[4:])
    elif verb == "variables" and len(sys.argv) == 3:
        check_variables(root, sys.argv[2])
    elif verb == "paths":
        missing = list(missing_paths(Path(sys.argv[2]) if len(sys.argv) > 2 else root))
        if missing:
            sys.exit("\n".join(f"{document}: {path} does not exist" for document, path in missing))
        print("check docs: every path exists")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
