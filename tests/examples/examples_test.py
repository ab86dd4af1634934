#!/usr/bin/env python3
"""Runs every small example and compares its output with expected/<name>.txt.

usage: examples_test.py FOLDER_OF_SOURCES FOLDER_OF_PROGRAMS [NAME...]

Process ids and times are replaced before the comparison; where the order of lines is not fixed, lines are sorted. Each
program runs in a session of its own, and no process of that session may be left when it has ended.
"""

import concurrent.futures
import difflib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

EXPECTED = Path(__file__).resolve().parent / "expected"
LIMIT_S = 100  # a guard against hanging, not a statement about speed

ANY_ORDER = {"imap_unordered_f", "imap_unordered_with"}
ANY_ORDER_BUT_LAST = {"tqdm_imap", "run_proc_many", "long_time_task", "long_time_task_close_pool", "msg_hello"}


def normalised(name, text):
    seen = []

    def pid(match):
        number = match.group(2)
        if name in ANY_ORDER_BUT_LAST:
            return match.group(1) + "<pid>"
        if number not in seen:
            seen.append(number)
        return f"{match.group(1)}<pid {seen.index(number) + 1}>"

    text = re.sub(r"(Parent process |Run task \d+ \(|child process test \(|pid: )(\d+)", pid, text)
    text = re.sub(r"\d+\.\d+( s\b| seconds\.$)", r"<time>\1", text, flags=re.MULTILINE)
    text = re.sub(r"pool of \d+", "pool of <n>", text)
    lines = text.splitlines()
    if name in ANY_ORDER:
        return sorted(lines)
    if name in ANY_ORDER_BUT_LAST:
        return sorted(lines[:-1]) + lines[-1:]
    return lines


def left_in_session(session):
    """Processes of the session that still run; zombies count, too."""
    left = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3]) == session:
                left.append(entry.name)
        except (OSError, IndexError):
            pass  # it ended while we looked
    return left


class Run:
    """One run of a program, in a session of its own."""

    def __init__(self, program, **options):
        self.process = subprocess.Popen([program], stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def end(self):
        """Waits, and returns (stdout, stderr, complaints)."""
        try:
            out, err = self.process.communicate(timeout=LIMIT_S)
            complaints = []
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            complaints = [f"did not end within {LIMIT_S} s"]
        left = left_in_session(self.process.pid)
        return out, err, complaints + [f"left processes behind: {left}"] * bool(left)


def compared(name, out):
    expected = normalised(name, (EXPECTED / f"{name}.txt").read_text())
    return list(difflib.unified_diff(expected, normalised(name, out), "expected", "got", lineterm=""))


def check_output(name, program):
    run = Run(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err, complaints = run.end()
    if run.process.returncode != 0:
        complaints.append(f"exit status {run.process.returncode}")
    if err and name not in ("tqdm_imap", "progress"):
        complaints.append(f"on stderr: {err}")
    return complaints + compared(name, out)


def check_interrupt(name, program):
    """Ctrl-C reaches the whole group; the program says one line, leaves nothing and ends with 130."""
    run = Run(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = run.process.stdout.readline()
    time.sleep(0.3)  # so that the tasks are under way; nothing depends on it
    os.killpg(run.process.pid, signal.SIGINT)
    out, err, complaints = run.end()
    if run.process.returncode != 130:
        complaints.append(f"exit status {run.process.returncode}")
    if err:
        complaints.append(f"on stderr: {err}")
    return complaints + compared(name, first + out)


def check_terminal(name, program):
    """On a terminal the bar moves while the first result, which the program waits for, is still being computed."""
    master, slave = pty.openpty()
    run = Run(program, stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    shown = b""
    while select.select([master], [], [], LIMIT_S)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the last holder of the other side is gone
            break
        if not data:
            break
        shown += data
    _, _, complaints = run.end()
    os.close(master)
    counts = [int(count) for count in re.findall(rb"(\d+)/10 \[", shown)]
    if counts != sorted(counts) or not counts or counts[-1] != 10:
        complaints.append(f"the bar went {counts}")
    if len(set(counts)) < 5:
        complaints.append(f"the bar jumped: {counts}")
    return complaints


def main():
    sources, programs, *names = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
    where = {source.stem: programs / source.stem for source in sources.glob("*.cpp")}
    where |= {source.stem: programs / "seeds" / source.stem for source in (sources / "seeds").glob("*.cpp")}
    without = sorted(set(where) ^ {path.stem for path in EXPECTED.glob("*.txt")})
    if without:
        sys.exit(f"examples and files in {EXPECTED} do not match: {without}")

    checks = {name: (check_interrupt if name == "pool_init_sigint" else check_output, name) for name in where}
    checks["tqdm_imap on a terminal"] = (check_terminal, "tqdm_imap")
    chosen = {title: check for title, check in checks.items() if not names or check[1] in names}
    failures = 0
    # They sleep most of the time, so all of them run at once.
    with concurrent.futures.ThreadPoolExecutor(len(chosen)) as threads:
        jobs = {title: threads.submit(check, name, where[name]) for title, (check, name) in chosen.items()}
        for title, job in jobs.items():
            complaints = job.result()
            failures += bool(complaints)
            print("\n  ".join([f"{'FAILED' if complaints else 'ok'} {title}", *complaints]))
    sys.exit(1 if failures or not chosen else 0)


if __name__ == "__main__":
    main()
