"""Runs a program of this folder and collects what it left: the lines of its log, its output, its processes."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# For programs that LeakSanitizer cannot look at: it needs the rights of a debugger, and no threads at a fork.
NO_LEAKS = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
LIMIT_S = 100  # a guard against hanging, not a statement about speed


def running_in_session(session):
    """Pids of the processes of the session, without zombies: whose those are, reaps them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split() if entry.name.isdigit() else []
            if fields and int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
        except (OSError, IndexError):
            pass  # it ended while we looked
    return found


class Program:
    """One run. `arguments` are the program's, from argv[0] on; `file` is what is run."""

    def __init__(self, file, arguments=None, variables=None, environment=None, **popen):
        self.folder = tempfile.TemporaryDirectory(prefix="brood program ")
        os.chmod(self.folder.name, 0o777)
        self.log_file = Path(self.folder.name, "log")
        environment = dict(os.environ if environment is None else environment, PROGRAM_LOG=str(self.log_file))
        environment.update(variables or {})
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([str(file)] if arguments is None else arguments, executable=str(file),
                                        env=environment, start_new_session=True, **(options | popen))

    def wait_until_ready(self):
        """For PROGRAM_WAIT: it stands before its first start."""
        line = self.process.stdout.readline()
        assert line == "ready\n", line

    def finish(self):
        """Waits for the end. Returns self, with code, out, err and log."""
        try:
            self.out, self.err = self.process.communicate("go\n" if self.process.stdin else None, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            left = self.end_all()
            raise AssertionError(f"stuck; processes: {left}; log: {self.lines()}") from None
        self.code = self.process.returncode
        # The last ones see the program's end, and end.
        deadline = time.monotonic() + LIMIT_S
        while running_in_session(self.process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.left = self.end_all()
        self.log = self.lines()
        self.folder.cleanup()
        return self

    def lines(self):
        return self.log_file.read_text().splitlines() if self.log_file.exists() else []

    def end_all(self):
        left = running_in_session(self.process.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left


def check(test, program, log=("main", "ok"), out="ok\n"):
    """What every run of a program must come to."""
    good = program.log == list(log) and program.code == 0 and not program.left
    test.assertTrue(good and (out is None or (program.out == out and program.err == "")),
                    f"exit code {program.code}, left {program.left}, out {program.out!r}, err {program.err!r}, log:\n" +
                    "\n".join(program.log))
