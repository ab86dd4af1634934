#!/usr/bin/env python3
"""Checks that types which cannot be archived are refused at compile time with an error that says what to do.

usage: compile_fail_test.py COMPILER INCLUDE_DIR FOLDER

FOLDER/cases.txt holds cases, each of them
    === name: text that the compiler has to print, or "compiles"
    declarations
and in the declarations a type or an alias `Subject`. Each is compiled with a line that saves and loads a Subject.
Exit status 1 when a case does not fail, fails without its text, or fails with a flood of further errors.
"""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROLOGUE = """
#include <brood/archive.hpp>
#include <any>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <map>
#include <thread>
#include <tuple>
#include <variant>
"""

EPILOGUE = """
void use(brood::wire::Writer& writer, brood::wire::Reader& reader) {
  brood::wire::save(writer, *static_cast<const Subject*>(nullptr));
  [[maybe_unused]] auto value = brood::wire::load<Subject>(reader);
}
"""

MOST_ERRORS = 4


def read_cases(path):
    cases = []
    for chunk in path.read_text().split("\n=== ")[1:]:
        head, code = chunk.split("\n", 1)
        name, expected = head.split(": ", 1)
        cases.append((name, expected, code))
    return cases


def check(compiler, include, folder, case):
    """Returns what is wrong with the case, or None."""
    name, expected, code = case
    source = Path(folder) / (name.replace(" ", "_") + ".cpp")
    source.write_text(PROLOGUE + code + EPILOGUE)
    command = [compiler, "-std=c++20", "-w", "-c", str(source), "-o", "/dev/null", "-I", include]
    result = subprocess.run(command, capture_output=True, text=True)
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
    cases = read_cases(Path(folder) / "cases.txt")
    failed = 0
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as threads:
        for case, wrong in zip(cases, threads.map(lambda c: check(compiler, include, temporary, c), cases)):
            if wrong:
                failed += 1
                print(f"{case[0]}: {wrong}\n")
    print(f"{len(cases) - failed} of {len(cases)} cases are as expected")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
