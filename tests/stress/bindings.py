"""The operators' tests with a native module built under AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/stress/bindings.py [--examples 1000]

Builds the module in build/bindings (Linux, GCC, Ninja, pybind11), then runs every tests/test_ops_*.py with it, so many
examples of nasty values a test. NumPy's arrays are heap blocks, so an element read or written beyond one is an error.
``_core`` itself takes addresses, is private, and checks nothing: what must not crash is ``echoseg.ops``, whatever
it is given. Exit code 1 if a test failed or a sanitizer stopped one.
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
# forks and threads are another sweep's; what looks at processes' memory or starts compilers cannot be told here
LEFT_OUT = ["test_ops_threads.py", "test_ops_cuda.py", "test_ops_build.py"]


def build() -> Path:
    """The module, built where it is not up to date."""
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
    tests = sorted(path for path in (ROOT / "tests").glob("test_ops_*.py") if path.name not in LEFT_OUT)
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary, "echoseg")
        shutil.copytree(ROOT / "python/echoseg", package, ignore=shutil.ignore_patterns("_core.*.so", "__pycache__"))
        shutil.copy(module, package)
        environment = {
            "PYTHONPATH": temporary,
            "LD_PRELOAD": f"{sanitizer('libasan.so')} {sanitizer('libstdc++.so')}",
            "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps what it likes
            "ECHOSEG_EXAMPLES": str(examples),
            "OMP_NUM_THREADS": "1",
        }
        words = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *map(str, tests)]
        code = subprocess.run([sys.executable, *words], cwd=ROOT, env=os.environ | environment).returncode
    print(f"{len(tests)} files of tests, {examples} examples each, {module.name} with sanitizers: exit code {code}")
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
