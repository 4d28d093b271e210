"""Builds the wheel; see tools/build_wheel.sh, which puts the library into the package first."""

import os
import re
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

VERSION = Path(__file__).resolve().parents[2] / "include" / "jit" / "version.hpp"


class PlatformWheel(bdist_wheel):
    """For every Python 3, but for one platform: the library in it is no extension module."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", os.environ["CUBINET_WHEEL_PLATFORM"]


setup(version=re.search(r'kVersion = "([0-9.]+)"', VERSION.read_text(encoding="utf-8"))[1],
      cmdclass={"bdist_wheel": PlatformWheel})
