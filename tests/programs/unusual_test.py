#!/usr/bin/env python3
"""usage: unusual_test.py PROGRAM      runs unusual.cpp: main() that begins in odd ways, starts at odd moments"""

import sys
import unittest

from program import NO_LEAKS, Program, check


class UnusualTest(unittest.TestCase):
    def run_it(self, what, log=("main", "ok"), err="", **variables):
        ended = Program(FILE, variables=dict(variables, PROGRAM_MAIN=what)).finish()
        check(self, ended, log, out=None)
        self.assertEqual((ended.out, ended.err), ("", err))

    def test_as_it_should_be(self):
        self.run_it("as_it_should_be")

    def test_without_init(self):
        self.run_it("without_init")

    def test_init_twice(self):
        self.run_it("init_twice")

    def test_init_without_arguments(self):
        self.run_it("init_without_arguments")

    def test_init_late(self):
        # Once in the program, the fork server, the process by spawn, the pool's template by spawn.
        self.run_it("init_late", ["early", "main"] + ["early"] * 3 + ["ok"])

    def test_init_in_the_first_process_only(self):
        self.run_it("init_in_the_first_process_only", ["main"] + ["main again"] * 2 + ["ok"], PROGRAM_FIRST="1")

    def test_end_before_init(self):
        # A process and a pool, by two methods, in two ways; then the fork server, the process and the template.
        self.run_it("end_before_init", ["main"] + ["early"] * 8 + ["ok"])

    def test_threads_before_init(self):
        self.run_it("threads_before_init", **NO_LEAKS)

    def test_start_while_main_returns(self):
        self.run_it("start_while_main_returns")

    def test_start_after_main(self):
        self.run_it("start_after_main", ["main", "ok", "ok at the end"])

    def test_static_constructor(self):
        # It runs again wherever the program begins afresh, and there it must not start more of them.
        for method in ("fork", "forkserver", "spawn"):
            with self.subTest(method):
                self.run_it("as_it_should_be", ["static", "main"] + ["static"] * 3 + ["ok"], PROGRAM_STATIC=method)

    def test_static_constructor_without_init(self):
        for method in ("fork", "forkserver", "spawn"):
            with self.subTest(method):
                self.run_it("without_init", ["static", "main", "ok"], PROGRAM_STATIC=method)


if __name__ == "__main__":
    FILE = sys.argv.pop(1)
    unittest.main(verbosity=0)
