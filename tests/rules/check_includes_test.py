#!/usr/bin/env python3
"""Proves that check_includes.py finds every kind of broken rule, and nothing in good files.

A line of the fixture that must be reported ends in `// bad: <part of the message>`.
"""

import re
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import check_includes  # noqa: E402

FIXTURE = Path(__file__).parent / "fixture"
BAD = re.compile(r"// bad: (.*)")


def expected():
    for path in check_includes.files_below(FIXTURE):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := BAD.search(line):
                yield f"{path.relative_to(FIXTURE)}:{number}:", match[1]


class CheckIncludes(unittest.TestCase):
    def test_every_bad_line_is_reported_and_no_other(self):
        found = dict(line.split(" ", 1) for line in check_includes.problems_below(FIXTURE))
        wanted = dict(expected())
        self.assertGreater(len(wanted), 10)
        self.assertEqual(sorted(found), sorted(wanted))
        for place, message in wanted.items():
            self.assertIn(message, found[place], place)

    def test_architecture_document_shows_the_same_table(self):
        text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
        documented = {}
        for rooms, others in re.findall(r"^\| `([^|]+)` \| ([^|]+) \|", text, re.MULTILINE):
            for room in re.findall(r"\w+", rooms):
                documented[room] = set(re.findall(r"`(\w+)`", others))
        self.assertEqual(documented, check_includes.ROOMS)


if __name__ == "__main__":
    unittest.main()
