#!/usr/bin/env python3
"""Runs treesum on a tree with odd names, big, small, empty, unreadable and special files.

usage: treesum_test.py TREESUM
"""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TREESUM = None  # the program, set by main
ODD_NAMES = [
    b"plain", b"with space", b"  lead and trail  ", b"new\nline", b"back\\slash", b"carriage\rreturn", b"both\\\n\r",
    b"not\xff\xfeutf-8", "ümläut-日本".encode(), b"-", b"--chaos", b"-j9", b"*", b"'\"$(x)`", b"\x01\x1b[31m", b"\\",
    b"n" * 255,
]


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def make_tree(root, seed=7):
    """Returns the regular files that treesum must find, by path, with their digests."""
    numbers = random.Random(seed)
    files = {}

    def add(path, size):
        data = numbers.randbytes(size)
        write(path, data)
        files[path] = hashlib.sha256(data).hexdigest()

    for number, name in enumerate(ODD_NAMES):
        add(root + b"/" + name, number * 1000)
    add(root + b"/empty", 0)
    add(root + b"/big", 24_000_000)
    add(root + b"/block", 256 * 1024)
    for folder in range(20):
        path = root + b"/dir\n%d" % folder
        os.mkdir(path)
        for number in range(40):
            add(path + b"/%d" % number, numbers.choice([0, 1, 55, 56, 64, 4096, 70_000]))
    deep = root
    for _ in range(15):
        deep += b"/" + b"d" * 200
        os.mkdir(deep)
    add(deep + b"/bottom", 3)
    os.mkdir(root + b"/empty directory")

    # What has to be left out.
    os.symlink(root + b"/big", root + b"/link to a file")
    os.symlink(root, root + b"/link to a directory")
    os.symlink(b"nowhere", root + b"/dangling link")
    os.mkfifo(root + b"/fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(root)  # the name of a socket must be short
        server.bind("socket")
        os.chdir(here)
    return files


def run(*arguments, status=0, cwd=None):
    done = subprocess.run([TREESUM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, cwd=cwd, timeout=100)
    assert done.returncode == status, (arguments, done.returncode, done.stderr.decode(errors="replace"))
    return done


class Treesum(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = os.fsencode(cls.folder.name) + b"/tree"
        os.mkdir(cls.root)
        cls.files = make_tree(cls.root)
        cls.normal = run(cls.root)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check_with_sha256sum(self, output, files):
        done = subprocess.run(["sha256sum", "--check", "--strict", "-"], input=output, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count(b": OK\n"), files)

    def test_every_regular_file_sorted_by_path(self):
        lines = self.normal.stdout.split(b"\n")[:-1]
        self.assertEqual(len(lines), len(self.files))
        ours = subprocess.run(["sha256sum", "--", *sorted(self.files)], capture_output=True, check=True).stdout
        self.assertEqual(self.normal.stdout, ours)

    def test_sha256sum_accepts_it(self):
        self.check_with_sha256sum(self.normal.stdout, len(self.files))

    def test_any_number_of_workers(self):
        for workers in ("-j1", "-j7"):
            self.assertEqual(run(workers, self.root).stdout, self.normal.stdout)

    def test_chaos_changes_nothing(self):
        for workers in ("1", "3"):
            done = run("-j", workers, "--chaos", self.root)
            self.assertEqual(done.stdout, self.normal.stdout)

    def test_chaos_with_files_that_outlive_a_worker(self):
        with tempfile.TemporaryDirectory() as folder:
            for number in range(3):
                with open(f"{folder}/{number}", "wb") as file:
                    file.truncate(200_000_000)  # sparse: no disk, but time to hash
            done = run("-j2", "--chaos", folder)
            self.assertIn(b"killed workers", done.stderr)
            self.assertEqual(done.stdout, run("-j2", folder).stdout)

    def test_summary(self):
        summary = self.normal.stderr.decode(errors="replace")
        for word in ("files", "bytes", "seconds", "MB/s", "speed-up", "busiest worker"):
            self.assertIn(word, summary)
        self.assertIn(f"{len(self.files):,}\n", summary)
        self.assertEqual(run("--quiet", self.root).stderr, b"")

    def test_arguments(self):
        one, link = self.root + b"/plain", self.root + b"/link to a directory"
        self.assertEqual(run(one, one).stdout, run(one).stdout)
        self.assertEqual(run(self.root + b"/", self.root).stdout, self.normal.stdout)
        self.assertEqual(run(self.root, one).stdout, self.normal.stdout)
        self.assertEqual(run(link).stdout.count(b"\n"), len(self.files))
        self.assertEqual(run(self.root + b"/link to a file").stdout.count(b"\n"), 1)
        self.assertEqual(run(self.root + b"/empty directory").stdout, b"")
        self.assertEqual(run(self.root + b"/fifo").stdout, b"")
        for arguments in (["-"], ["--", "--chaos"], ["--", "-j9"]):
            self.assertEqual(run(*arguments, cwd=self.root).stdout.count(b"\n"), 1)

    def test_wrong_usage(self):
        for arguments in ([], ["-j"], ["-j", "0", "."], ["-jx", "."], ["-j-1", "."], ["--what", "."], [""]):
            self.assertIn(b"usage:", run(*arguments, status=2).stderr)
        self.assertIn(b"usage:", run("--help").stdout)

    def test_missing(self):
        done = run(self.root + b"/no\x1bsuch", self.root, status=1)
        self.assertEqual(done.stdout, self.normal.stdout)
        self.assertIn(b"no\\033such: No such file or directory", done.stderr)

    @unittest.skipIf(os.geteuid() == 0, "root can read everything")
    def test_unreadable(self):
        self.check_unreadable(run)

    def check_unreadable(self, runner):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            for name in ("a", "b", "c"):
                write(f"{folder}/{name}", name.encode())
            os.mkdir(f"{folder}/closed")
            write(f"{folder}/closed/hidden", b"hidden")
            os.chmod(f"{folder}/b", 0)
            os.chmod(f"{folder}/closed", 0)
            try:
                done = runner(folder, status=1)
                self.assertEqual(done.stdout.count(b"\n"), 2)
                self.assertIn(f"{folder}/b: Permission denied".encode(), done.stderr)
                self.assertIn(f"{folder}/closed: Permission denied".encode(), done.stderr)
            finally:
                os.chmod(f"{folder}/closed", 0o755)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_unreadable_as_nobody(self):
        def as_nobody(*arguments, status):
            done = subprocess.run([program, *arguments], capture_output=True, timeout=100, user=65534, group=65534,
                                  extra_groups=[])
            self.assertEqual(done.returncode, status, done.stderr)
            return done

        with tempfile.TemporaryDirectory() as folder:  # the build folder may be closed to others
            os.chmod(folder, 0o755)
            program = f"{folder}/treesum"
            write(program, Path(TREESUM).read_bytes())
            os.chmod(program, 0o755)
            self.check_unreadable(as_nobody)

    def test_files_that_change_and_vanish_while_it_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            write(f"{folder}/00000", b"x" * 4_000_000)
            for number in range(1, 3000):
                write(f"{folder}/{number:05}", b"x" * 2000)
            process = subprocess.Popen([TREESUM, "-j2", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for number in range(2999, 1, -1):
                if number % 3 == 0:
                    os.unlink(f"{folder}/{number:05}")
                elif number % 3 == 1:
                    with open(f"{folder}/{number:05}", "ab") as file:
                        file.write(b"more")
            out, err = process.communicate(timeout=100)
            missing = err.count(b": No such file or directory\n")
            self.assertEqual(process.returncode, 1 if missing else 0, err)
            self.assertLessEqual(out.count(b"\n") + missing, 2999)
            self.assertGreaterEqual(out.count(b"\n"), 1999)

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([TREESUM, "--quiet", self.root], stdout=full, stderr=subprocess.PIPE, timeout=100)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write the output", done.stderr)

    def test_interrupt(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/endless", "wb") as file:
                file.truncate(1 << 40)
            process = subprocess.Popen([TREESUM, "--quiet", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       start_new_session=True)
            time.sleep(0.5)
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=100)
            self.assertEqual((process.returncode, out, err), (130, b"", b""))


if __name__ == "__main__":
    TREESUM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
