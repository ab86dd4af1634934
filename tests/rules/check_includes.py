#!/usr/bin/env python3
"""Checks who includes whom: the table of rooms in docs/architecture.md and the rule that only os talks to the kernel.

usage: check_includes.py ROOT        ROOT holds src/ and include/brood/
Prints one line per broken rule; exit status 1 when there is any.
"""

import re
import sys
from pathlib import Path

# Room -> the other rooms whose headers it may include.
ROOMS = {
    "os": set(),
    "wire": set(),
    "sync": {"os"},
    "process": {"wire", "os"},
    "channel": {"sync", "wire", "os"},
    "pool": {"process", "channel", "sync", "wire", "os"},
    "manager": {"process", "channel", "sync", "wire", "os"},
    "progress": {"os"},
}

# First word of a public header's name (also in detail/) -> the room it belongs to.
NOUNS = {
    "atomic": "os", "durations": "os", "iterators": "os",  # lighter doors to the standard library
    "archive": "wire", "bind": "wire", "function": "wire", "invoke": "wire",
    "sync": "sync",
    "process": "process", "subprocess": "process",
    "pipe": "channel", "queue": "channel", "shared": "channel",
    "pool": "pool", "result": "pool", "task": "pool", "map": "pool", "job": "pool",
    "jobs": "pool", "engine": "pool", "async": "pool", "range": "pool", "verbs": "pool",
    "manager": "manager",
    "progress": "progress",
}
FREE = {"error", "version", "start_method"}      # public headers that every room may include; they include no other
EVERYTHING = "brood"             # <brood/brood.hpp>: for users, no room may include it

KERNEL = re.compile(
    r"(sys|linux|asm|asm-generic)/|(unistd|fcntl|poll|signal|pthread|sched|spawn|semaphore|termios)\.h$|csignal$")
KERNEL_ALLOWED_ANYWHERE = {"sys/types.h"}
# Measured: each costs every translation unit of the user 200 to 700 ms.
BANNED_IN_PUBLIC = {"future", "thread", "iostream", "filesystem", "regex"}

GUARD = re.compile(r"^#pragma once$", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of_public(name):
    """The room of brood/<name>, a word of its own for the free ones, None when it is in no table."""
    stem = Path(name).stem
    if name == f"{EVERYTHING}.hpp":
        return EVERYTHING
    if name == f"{stem}.hpp" and stem in FREE:
        return "free"
    return NOUNS.get(stem.split("_")[0])


def may_include(room, other):
    if other == EVERYTHING:
        return False
    return room == EVERYTHING or other in (room, "free") or other in ROOMS.get(room, set())


def problem_of(room, public, quote, target):
    """What is wrong with `#include target` in a file of `room`; None when nothing is."""
    if quote == "<" and not target.startswith("brood/"):
        if room != "os" and KERNEL.match(target) and target not in KERNEL_ALLOWED_ANYWHERE:
            return "only src/os may include the kernel's headers"
        if public and target in BANNED_IN_PUBLIC:
            return "too slow to compile for a public header"
        return None
    if quote == "<":
        other = room_of_public(target.removeprefix("brood/"))
        if other is None:
            return f"a public header of no known room: add its noun to NOUNS in {Path(__file__).name}"
    elif public:
        return "a public header includes <brood/...> and the standard library only"
    else:
        other = target.split("/")[0]
        if other not in ROOMS or "/" not in target:
            return 'write internal includes as "room/file.hpp"'
    return None if may_include(room, other) else f"{room} may not include {other}"


def check(path, room, public, root):
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        problem = problem_of(room, public, match[1], match[2])
        if problem:
            line = text.count("\n", 0, match.start(2)) + 1
            yield f"{path.relative_to(root)}:{line}: {match[2]}: {problem}"
    if path.suffix == ".hpp" and not GUARD.search(text):
        yield f"{path.relative_to(root)}:1: no #pragma once"


def files_below(folder):
    return (p for p in sorted(folder.rglob("*")) if p.suffix in (".hpp", ".cpp"))


def problems_below(root):
    headers = root / "include" / "brood"
    for path in files_below(headers):
        room = room_of_public(path.relative_to(headers).as_posix())
        if room is None:
            yield f"{path.relative_to(root)}:1: of no known room: add its noun to NOUNS in {Path(__file__).name}"
        else:
            yield from check(path, room, True, root)
    sources = root / "src"
    for path in files_below(sources):
        parts = path.relative_to(sources).parts
        room = parts[0] if len(parts) > 1 else "free"
        if room != "free" and room not in ROOMS:
            yield f"{path.relative_to(root)}:1: no such room: {room}"
        else:
            yield from check(path, room, False, root)


def main():
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "src").is_dir():
        sys.exit(__doc__)
    problems = list(problems_below(Path(sys.argv[1])))
    print("\n".join(problems) or "every include follows the table of rooms")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
