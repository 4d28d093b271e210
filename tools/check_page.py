#!/usr/bin/env python3
"""Runs the commands of the README's pages: its sh blocks. Blocks that need a GPU are bash blocks.

usage: check_page.py --driver LIBCUDA --command DIR -- COMMAND...
           "From recording to a frozen image". LIBCUDA stands in for the CUDA driver, DIR holds
           cubinet, and COMMAND builds the README's first C++ program, SOURCE, as PROGRAM: the
           page's ./engine
       check_page.py --tuning --command DIR
           "Tuning", on a machine without a GPU
       check_page.py --self-test
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from check_docs import first_program

TITLE = "From recording to a frozen image"
TUNING = "Tuning"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks_of(readme, title=TITLE):
    """The commands of the page, block by block."""
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    blocks = BLOCK.findall(match.group(1)) if match else []
    if not blocks:
        sys.exit(f"check page: README.md has no page \"{title}\" with commands")
    return blocks


def run(block, folder, environment):
    """What the block prints, as it stands, in the folder. The first command that fails ends it."""
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=environment,
                            check=False, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"check page: exit code {result.returncode} from\n{block}\n{result.stdout}"
                 f"{result.stderr}")
    return result.stdout + result.stderr


def environment_of(folder, driver, commands):
    """That of a machine with one GPU, an empty cache and nothing set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CUBINET_")
            or name == "CUBINET_NVRTC"}
    return {**kept, "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home/.cache"),
            "PATH": f"{commands}:{os.environ['PATH']}", "CUBINET_DRIVER": driver,
            "FAKE_CUDA_DEVICES": "9.0"}


def check(root, driver, commands, command):
    blocks = blocks_of((root / "README.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "home").mkdir()
        source = folder / "engine.cpp"
        source.write_text(first_program(root, "cpp"), encoding="utf-8")
        names = {"SOURCE": str(source), "PROGRAM": str(folder / "engine")}
        subprocess.run([names.get(word, word) for word in command], check=True)
        environment = environment_of(folder, driver, commands)
        said = [run(block, folder, environment) for block in blocks]
        expect(folder, "".join(said))
        # The image: another place, another user's home, no compiler.
        run("mkdir app && mv kernels.cupack engine app && cd app && CUBINET_CACHE_DIR=none "
            "CUBINET_PACKS=$PWD/kernels.cupack CUBINET_MODE=frozen ./engine", folder,
            {**environment, "CUBINET_NVRTC": "/no/such/libnvrtc.so", "HOME": "/no/such/home"})
    print(f"check page: {len(blocks)} blocks of commands are fine")


def expect(folder, said):
    """The page's claims."""
    recording = (folder / "recording.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(recording) == 2 and recording == sorted(recording), recording
    for text in ("2 requests, 2 signatures, 0 unknown", "6 kernels: 4 compiled, 2 hits",
                 "6 entries checked, 0 faults", "registers",
                 "CUBINET_MODE=frozen forbids compiling"):
        assert text in said, f"{text!r} is not in\n{said}"


def check_tuning(root, commands):
    readme = (root / "README.md").read_text(encoding="utf-8")
    blocks = blocks_of(readme, TUNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "home").mkdir()
        environment = environment_of(folder, "/no/such/libcuda.so", commands)
        said = "".join(run(block, folder, environment) for block in blocks)
        for text in ("20 variants, 20 worth timing", "untuned choice of phase=decode", "OCCUPANCY",
                     "num_tokens"):
            assert text in said, f"{text!r} is not in\n{said}"
        # Nothing is compiled twice, and the options of what needs a GPU are those that there are.
        again = run(blocks[1], folder, environment)
        assert "20 kernels: 0 compiled, 20 found" in again, again
        page = re.search(rf"^## {TUNING}\n(.*?)(?=^## )", readme, re.MULTILINE | re.DOTALL).group(1)
        measured = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        assert measured, "the page measures nothing"
        for block in measured:
            result = subprocess.run(["bash", "-c", block], cwd=folder, env=environment, check=False,
                                    capture_output=True, text=True)
            assert result.returncode == 1 and "no GPU at hand" in result.stderr, result.stderr
    print(f"check page: {len(blocks)} blocks of commands are fine")


def self_test():
    page = f"## {TITLE}\n```sh\nfalse | true\n```\n## Next\n```sh\ntrue\n```\n"
    assert blocks_of(page) == ["false | true\n"]
    for readme in ("## Other\n```sh\ntrue\n```\n", f"## {TITLE}\nnothing\n"):
        refuses(lambda text=readme: blocks_of(text))
    with tempfile.TemporaryDirectory() as folder:
        refuses(lambda: run(blocks_of(page)[0], folder, dict(os.environ)))
        refuses(lambda: run("false\ntrue\n", folder, dict(os.environ)))
        assert run("echo said\n", folder, dict(os.environ)) == "said\n"
    print("self-test: 4 violations refused")


def refuses(call):
    try:
        call()
    except SystemExit:
        return
    raise AssertionError("not refused")


def main():
    words = sys.argv[1:]
    if words == ["--self-test"]:
        self_test()
    elif len(words) == 3 and words[:2] == ["--tuning", "--command"]:
        check_tuning(Path(__file__).resolve().parent.parent, words[2])
    elif len(words) > 5 and words[0] == "--driver" and words[2] == "--command" and words[4] == "--":
        check(Path(__file__).resolve().parent.parent, words[1], words[3], words[5:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
