#!/usr/bin/env python3
"""usage: family_test.py PROGRAM      runs one build of family.cpp: main's body ran once, and all went well"""

import sys
import unittest

import program


class FamilyTest(unittest.TestCase):
    def test_family(self):
        program.check(self, program.Program(FILE).finish())


if __name__ == "__main__":
    FILE = sys.argv.pop()
    unittest.main(verbosity=0)
