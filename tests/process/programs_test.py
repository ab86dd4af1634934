"""Programs that call brood::init() not at all, or late: main() never runs twice, and starts say what is missing."""

import os
import subprocess
import sys


def run(*command, code=0, **variables):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=100, env=dict(os.environ, **variables))
    assert done.returncode == code, f"{command}: exit code {done.returncode}, not {code}\n{done.stdout}"
    return done.stdout.split()


no_init, late_init = sys.argv[1:]
assert run(no_init) == ["main"]
# What stands before init() runs in the child too, what stands behind it does not.
assert run(late_init) == ["begin", "main", "begin", "child"]
# A start before init() is refused in the parent, so that children that come this way cannot multiply.
words = run(late_init, "before")
assert words == ["begin", "refused", "main", "begin", "refused", "child"], words
# Whatever becomes of what the child is told by, main() runs once.
words = run(late_init, "close", code=4)
assert words == ["begin", "main", "begin", "refused"], words
# The variable that the child is told by means nothing alone.
assert run(late_init, BROOD_BEGUN="1") == ["begin", "main", "begin", "child"]
assert run(no_init, BROOD_BEGUN="1") == ["main"]
