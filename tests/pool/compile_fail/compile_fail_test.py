#!/usr/bin/env python3
"""Checks that calls of the pool which cannot work are refused at compile time with an error that says what to do.

usage: compile_fail_test.py COMPILER INCLUDE_DIR FOLDER

FOLDER/cases.txt holds cases, each of them
    === name: text that the compiler has to print, or "compiles"
    declarations, and a function `void use(brood::Pool& pool)`
Exit status 1 when a case does not fail, fails without its text, or fails with a flood of further errors.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROLOGUE = """
#include <brood/pool.hpp>
#include <functional>
#include <span>
#include <string>
#include <tuple>
#include <vector>
int takes_int(int x);
"""

MOST_ERRORS = 4


def read_cases(path):
    for chunk in path.read_text().split("\n=== ")[1:]:
        head, code = chunk.split("\n", 1)
        name, expected = head.split(": ", 1)
        yield name, expected, code


def check(compiler, include, case):
    """Returns what is wrong with the case, or None."""
    _, expected, code = case
    command = [compiler, "-std=c++20", "-w", "-c", "-x", "c++", "-", "-o", "/dev/null", "-I", include]
    result = subprocess.run(command, input=PROLOGUE + code, capture_output=True, text=True)
    output = " ".join((result.stdout + result.stderr).split())
    if expected == "compiles":
        return None if result.returncode == 0 else f"does not compile:\n{result.stderr}"
    if result.returncode == 0:
        return "compiles"
    if expected not in output:
        return f"does not say '{expected}':\n{result.stderr}"
    errors = result.stderr.count("error: ")
    return f"says too much, {errors} errors:\n{result.stderr}" if errors > MOST_ERRORS else None


def main():
    compiler, include, folder = sys.argv[1:]
    cases = list(read_cases(Path(folder) / "cases.txt"))
    failed = 0
    with ThreadPoolExecutor(2) as threads:
        for case, wrong in zip(cases, threads.map(lambda c: check(compiler, include, c), cases)):
            if wrong:
                failed += 1
                print(f"{case[0]}: {wrong}\n")
    print(f"{len(cases) - failed} of {len(cases)} cases are as expected")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
