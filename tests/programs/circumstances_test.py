#!/usr/bin/env python3
"""usage: circumstances_test.py PROGRAM      runs a build of family.cpp in all kinds of circumstances"""

import os
import shutil
import signal
import sys
import tempfile
import unittest
from pathlib import Path

import program
from program import Program, check

NOBODY = 65534
NEEDS_USERS = unittest.skipUnless(os.getuid() == 0, "must be able to become another user")
# A process that /proc says nothing about; a sanitizer reads its options there, and more.
NEEDS_NO_SANITIZER = unittest.skipIf("PROGRAM_SANITIZED" in os.environ, "sanitizers need /proc")
WAIT = {"PROGRAM_WAIT": "1"}


class CircumstancesTest(unittest.TestCase):
    def setUp(self):
        self.enterable = tempfile.TemporaryDirectory(prefix="brood programs ")
        self.addCleanup(self.enterable.cleanup)
        self.folder = Path(self.enterable.name)
        os.chmod(self.folder, 0o755)

    def copy(self, name="family"):
        """A copy of the program that may be moved and removed."""
        return Path(shutil.copy2(FILE, self.folder / name))

    # --- the file ----------------------------------------------------------------------------------------------

    def test_file_deleted(self):
        file = self.copy()
        running = Program(file, variables=WAIT)
        running.wait_until_ready()
        file.unlink()
        check(self, running.finish())

    def test_file_replaced(self):
        file = self.copy()
        other = Path(shutil.copy2("/bin/false", self.folder / "other"))
        running = Program(file, variables=WAIT)
        running.wait_until_ready()
        os.replace(other, file)
        check(self, running.finish())

    def test_file_moved(self):
        file = self.copy()
        running = Program(file, variables=WAIT)
        running.wait_until_ready()
        file.rename(self.folder / "elsewhere")
        check(self, running.finish())

    def test_path_with_odd_characters(self):
        check(self, Program(self.copy("a b\tc\n\u00fc'\"$x\\ (deleted)")).finish())

    def test_symbolic_link(self):
        link = self.folder / "link"
        link.symlink_to(FILE)
        check(self, Program(link).finish())

    def test_symbolic_link_gone(self):
        link = self.folder / "link"
        link.symlink_to(FILE)
        running = Program(link, variables=WAIT)
        running.wait_until_ready()
        link.unlink()
        check(self, running.finish())

    def test_relative_name_in_another_directory(self):
        self.copy()
        # The shell runs it by a relative name and the program is in another directory when it starts others.
        check(self, Program("/bin/sh", ["sh", "-c", 'cd "$1" && PROGRAM_CHDIR=/ exec ./family', "sh",
                                        str(self.folder)]).finish())

    def test_found_along_the_path(self):
        self.copy()
        path = f"{self.folder}:{os.environ['PATH']}"
        check(self, Program("/bin/sh", ["sh", "-c", 'cd / && exec family'], variables={"PATH": path}).finish())

    def test_working_directory_gone(self):
        gone = self.folder / "gone"
        gone.mkdir()
        running = Program(FILE, variables=WAIT, cwd=gone)
        running.wait_until_ready()
        gone.rmdir()
        check(self, running.finish())

    @NEEDS_USERS
    def test_directory_unreadable(self):
        file = self.copy()
        running = Program(file, variables=WAIT, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
        running.wait_until_ready()
        self.folder.chmod(0)
        check(self, running.finish())

    @NEEDS_USERS
    @NEEDS_NO_SANITIZER
    def test_file_may_only_be_executed(self):
        file = self.copy()
        file.chmod(0o111)
        check(self, Program(file, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/").finish())

    @NEEDS_USERS
    @NEEDS_NO_SANITIZER
    def test_elevated_rights(self):
        file = self.copy()
        os.chown(file, NOBODY, NOBODY)
        file.chmod(0o6755)
        ended = Program(file, variables={"PROGRAM_REFUSED": "elevated rights"}, cwd="/").finish()
        if "not elevated" in ended.log:
            self.skipTest("this file system, or this container, grants no rights with a file")
        check(self, ended)

    # --- descriptors -------------------------------------------------------------------------------------------

    def run_in_shell(self, redirections, **options):
        return Program("/bin/sh", ["sh", "-c", f'exec "$0" {redirections}', FILE], **options).finish()

    def test_standard_streams_closed(self):
        for redirections in ("<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"):
            with self.subTest(redirections):
                check(self, self.run_in_shell(redirections), out=None)

    def test_descriptors_3_and_4_open(self):
        check(self, self.run_in_shell("3</dev/null 4</dev/null"))
        check(self, self.run_in_shell("3<&0 4>&1 9</dev/null"))

    # --- the environment ---------------------------------------------------------------------------------------

    def test_begun_by_accident(self):
        for value in ("1", "0", "", "yes"):
            with self.subTest(value):
                begun = {"BROOD_BEGUN": value}
                check(self, Program(FILE, variables=begun).finish())
                check(self, self.run_in_shell("3</dev/null 4</dev/null", variables=begun))

    def test_environment_huge(self):
        many = {f"PROGRAM_VARIABLE_{number}": "x" * 10_000 for number in range(100)}
        check(self, Program(FILE, variables=many).finish())

    def test_environment_small(self):
        needed = {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}
        check(self, Program(FILE, environment=needed).finish())

    def test_environment_odd(self):
        odd = {"A B": "c d", "NEWLINE": "1\n2", "EMPTY": "", "EQUALS": "a=b=c", "\u00fc": "\u00fc"}
        check(self, Program(FILE, variables=odd).finish())

    # --- arguments ---------------------------------------------------------------------------------------------

    def test_arguments_odd(self):
        for arguments in (["family", "", "", "two words", "\n", "--brood", "-", "--", "$x", "'", '"', "\\", "*", ""],
                          ["", "x"], [""], ["family"] + ["y" * 100_000] * 5, ["/nowhere/at/all"]):
            with self.subTest(str(arguments)[:50]):
                check(self, Program(FILE, arguments).finish())

    # --- signals -----------------------------------------------------------------------------------------------

    def test_nohup(self):
        nohup = shutil.which("nohup")
        ended = Program(nohup, ["nohup", FILE], variables={"PROGRAM_IGNORED": str(int(signal.SIGHUP))}).finish()
        check(self, ended)

    def test_signals_blocked_and_ignored(self):
        def prepare():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD})
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)

        ignored = {"PROGRAM_IGNORED": str(int(signal.SIGPIPE))}
        check(self, Program(FILE, variables=ignored, preexec_fn=prepare).finish())


if __name__ == "__main__":
    os.environ.update(program.NO_LEAKS)  # those are looked for by family_test.py, which takes long enough
    FILE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=0)
