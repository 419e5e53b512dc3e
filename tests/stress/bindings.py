"""Runs the tests of the operators with a native module built with AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/stress/bindings.py [--examples 1000]

Builds the module in build/bindings (Linux, GCC, Ninja, pybind11), and runs the tests in tests/ops with it, with the
given number of examples per Hypothesis test. NumPy arrays are heap blocks, so that out-of-bounds accesses are detected.
`_core` is private, takes addresses and does not check them; `echoseg.ops` must not crash for any arguments. The exit
code is 1 if a test failed or a sanitizer found an error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/bindings"
# threads.py covers threads and forks; the others measure memory or start compilers, which sanitizers change
EXCLUDED = ["test_ops_threads.py", "test_ops_cuda.py", "test_ops_build.py"]


def build() -> Path:
    """Build the module, and return its path."""
    import pybind11

    options = {
        "CMAKE_BUILD_TYPE": "RelWithDebInfo",  # without link-time optimisation, which takes minutes under sanitizers
        "ECHOSEG_CUDA": "OFF",
        "ECHOSEG_SANITIZE": "address,undefined",
        "Python_EXECUTABLE": sys.executable,
        "pybind11_DIR": pybind11.get_cmake_dir(),
    }
    defined = [f"-D{name}={value}" for name, value in options.items()]
    subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", *defined], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BUILD], check=True, stdout=subprocess.DEVNULL)
    return next(BUILD.glob("_core.*"))


def sanitizer(name: str) -> str:
    return subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000)
    examples = parser.parse_args().examples
    module = build()
    tests = sorted(path for path in (ROOT / "tests/ops").glob("test_*.py") if path.name not in EXCLUDED)
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary, "echoseg")
        shutil.copytree(ROOT / "python/echoseg", package, ignore=shutil.ignore_patterns("_core.*.so", "__pycache__"))
        shutil.copy(module, package)
        environment = {
            "PYTHONPATH": temporary,
            "LD_PRELOAD": f"{sanitizer('libasan.so')} {sanitizer('libstdc++.so')}",
            "ASAN_OPTIONS": "detect_leaks=0",  # Python does not free all memory at exit
            "ECHOSEG_EXAMPLES": str(examples),
            "OMP_NUM_THREADS": "1",
        }
        words = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *map(str, tests)]
        code = subprocess.run([sys.executable, *words], cwd=ROOT, env=os.environ | environment).returncode
    print(f"{len(tests)} test files, {examples} examples per test, {module.name} with sanitizers: exit code {code}")
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
