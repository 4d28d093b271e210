#!/usr/bin/env python3
"""Checks that a shared library exports the public names of namespace jit, the C interface
and nothing else, and that it stays loaded when a program closes it.

usage: check_exports.py LIBRARY | --self-test
"""

import re
import subprocess
import sys

# "0000000000012340 T jit::v1::Kernel::prepare() const"
SYMBOL = re.compile(r"^[0-9a-f]* +(?P<kind>\S) (?P<name>.*)$")
PUBLIC = re.compile(r"^(typeinfo (name )?for |vtable for )?jit::v\d+::(?P<rest>.*)$")
C_NAME = re.compile(r"^cubinet_\w+$")
INTERNAL = re.compile(r"^(detail::)?\w*(::)?Impl\b|^\w+::Impl\b")


def violations(lines):
    """The exported symbols that are not public, and a complaint if there is none at all."""
    found, public = [], 0
    for line in lines:
        symbol = SYMBOL.match(line)
        if symbol is None or symbol["kind"] == "A":
            continue
        if C_NAME.match(symbol["name"]):
            public += symbol["kind"] == "T"
            if symbol["kind"] != "T":
                found.append(symbol["name"])
            continue
        name = PUBLIC.match(symbol["name"])
        if name is None or INTERNAL.match(name["rest"]):
            found.append(symbol["name"])
        else:
            public += 1
    if public == 0:
        found.append("(no public symbol at all)")
    return found


def stays_loaded(dynamic_section):
    """Whether the text of `readelf --dynamic` says so: threads of the library run in it."""
    return re.search(r"\(FLAGS_1\).*\bNODELETE\b", dynamic_section) is not None


def self_test():
    good = [
        "0000000000001000 T jit::v1::Kernel::prepare() const",
        "0000000000001010 V typeinfo for jit::v1::Error",
        "0000000000001020 V typeinfo name for jit::v1::Error",
        "0000000000001030 T cubinet_get_kernel",
        "0000000000000000 A VERSION_1",
    ]
    bad = [
        "0000000000001030 W std::vector<int>::push_back(int&&)",
        "0000000000001040 T jit_helper",
        "0000000000001050 T jit::v1::Runtime::Impl::compile()",
        "0000000000001060 T SHA256_Init",
        "0000000000001070 B cubinet_state",
    ]
    assert violations(good) == [], violations(good)
    for line in bad:
        assert len(violations(good + [line])) == 1, line
    assert violations([]) == ["(no public symbol at all)"]
    flags = " 0x000000006ffffffb (FLAGS_1)            Flags: "
    assert stays_loaded(flags + "NOW NODELETE")
    assert not stays_loaded(flags + "NOW")
    assert not stays_loaded("")
    print(f"self-test: {len(bad) + 3} violations refused")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    command = ["nm", "--dynamic", "--defined-only", "--demangle", sys.argv[1]]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = violations(lines)
    if found:
        sys.exit("check exports: not public: " + ", ".join(found[:20]))
    command = ["readelf", "--dynamic", "--wide", sys.argv[1]]
    dynamic = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if not stays_loaded(dynamic):
        sys.exit("check exports: the library can be unloaded under its threads: link -z nodelete")
    print(f"check exports: {len(lines)} symbols, all public")


if __name__ == "__main__":
    main()
