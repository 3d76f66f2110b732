"""Runs one command and prints what it used: `python -I -S launch.py RESULT COMMAND...`.

A process inherits the peak memory of the one that starts it; this one has next to none.
"""

import os
import sys
import time

start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - start
with open(sys.argv[1], "w") as file:
    file.write(f"{status} {usage.ru_utime + usage.ru_stime} {wall} {usage.ru_maxrss}\n")
