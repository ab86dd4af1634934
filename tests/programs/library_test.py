#!/usr/bin/env python3
"""usage: library_test.py PROGRAM LIBRARY ANOTHER_BUILD      runs loader.cpp in a folder of its own"""

import sys
import tempfile
import unittest

from program import Program, check


class LibraryTest(unittest.TestCase):
    def test_library(self):
        with tempfile.TemporaryDirectory(prefix="brood libraries ") as folder:
            ended = Program(FILES[0], FILES, cwd=folder).finish()
        check(self, ended, ["main"] + ["the library was not closed"] * ("the library was not closed" in ended.log) + ["ok"],
              out="")


if __name__ == "__main__":
    FILES = sys.argv[1:4]
    del sys.argv[1:4]
    unittest.main(verbosity=0)
