#!/usr/bin/env python3
"""Prints the platform tag of a wheel that holds the given libraries: manylinux_2_NN_<machine> for
the newest glibc symbol in them if all else that they need is in the wheel or on every such system,
else linux_<machine>.

usage: wheel_platform.py LIBRARY... | --self-test
"""

import platform
import re
import subprocess
import sys
from pathlib import Path

# What the manylinux policies (PEP 600) let a wheel expect. libstdc++ is among them only up to a
# version, and is linked statically instead.
EVERYWHERE = re.compile(r"^(lib(c|m|dl|rt|pthread)\.so\.\d|libz\.so\.1|ld-linux-[\w-]+\.so\.\d)$")


def facts_of(library):
    """(names of the libraries it needs, minor versions of the glibc symbols it uses)."""
    text = subprocess.run(["readelf", "--wide", "--dynamic", "--version-info", library], check=True,
                          capture_output=True, text=True).stdout
    return (re.findall(r"\(NEEDED\).*\[(.+)\]", text),
            [int(minor) for minor in re.findall(r"\bGLIBC_2\.(\d+)", text)])


def tag_of(machine, facts, bundled):
    needed = {name for names, _ in facts for name in names} - bundled
    foreign = sorted(name for name in needed if not EVERYWHERE.match(name))
    if foreign:
        return f"linux_{machine}", f"not on every system: {', '.join(foreign)}"
    newest = max(minor for _, minors in facts for minor in minors)
    return f"manylinux_2_{newest}_{machine}", f"newest symbol GLIBC_2.{newest}"


def self_test():
    ours = (["libelf.so.1", "libc.so.6"], [17, 34])
    elf = (["libz.so.1", "libc.so.6", "ld-linux-x86-64.so.2"], [14, 33])
    bundled = {"libcubinet.so", "libelf.so.1"}
    assert tag_of("x86_64", [ours, elf], bundled)[0] == "manylinux_2_34_x86_64"
    assert tag_of("x86_64", [ours, elf], {"libcubinet.so"})[0] == "linux_x86_64"
    assert tag_of("aarch64", [(["libstdc++.so.6"], [17])], bundled)[0] == "linux_aarch64"
    print("self-test: 3 tags")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    tag, why = tag_of(platform.machine(), [facts_of(library) for library in sys.argv[1:]],
                      {Path(library).name for library in sys.argv[1:]})
    print(f"wheel platform: {tag} ({why})", file=sys.stderr)
    print(tag)


if __name__ == "__main__":
    main()
