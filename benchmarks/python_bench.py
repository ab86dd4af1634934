#!/usr/bin/env python3
"""CPython's side of the measures: multiprocessing.Pool under fork. Run as: python_bench.py MEASURE [--quick]"""

import array
import json
import multiprocessing
import statistics
import sys
import time


def ident(x):
    return x


def report(key, value, unit):
    print(json.dumps({"key": key, "value": value, "unit": unit}), flush=True)


def seconds_of(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def median_seconds(repeats, f):
    f()  # warm
    return statistics.median(seconds_of(f) for _ in range(repeats))


def new_pool(workers):
    return multiprocessing.get_context("fork").Pool(workers)


def report_rate(key, tasks, repeats, f):
    report(key, tasks / median_seconds(repeats, f), "tasks/s")


def map_defaults(quick):
    tasks = 100_000 if quick else 1_000_000
    numbers = list(range(tasks))
    with new_pool(2) as pool:
        report_rate("map_defaults", tasks, 3, lambda: pool.map(ident, numbers))


def map_chunk1(quick):
    tasks = 5_000 if quick else 50_000
    numbers = list(range(tasks))
    with new_pool(2) as pool:
        report_rate("map_chunk1", tasks, 2, lambda: pool.map(ident, numbers, 1))


def consume(stream):
    for _ in stream:
        pass


def imap(quick):
    tasks = 5_000 if quick else 50_000
    numbers = list(range(tasks))
    with new_pool(2) as pool:
        report_rate("imap", tasks, 2, lambda: consume(pool.imap(ident, numbers)))


def imap_unordered(quick):
    tasks = 5_000 if quick else 50_000
    numbers = list(range(tasks))
    with new_pool(2) as pool:
        report_rate("imap_unordered", tasks, 2, lambda: consume(pool.imap_unordered(ident, numbers)))


def apply_time(key, workers, calls):
    def once():
        for i in range(calls):
            pool.apply(ident, (i,))

    with new_pool(workers) as pool:
        report(key, median_seconds(2, once) / calls * 1e6, "us")


def apply(quick):
    apply_time("apply", 2, 500 if quick else 5_000)


def apply_1(quick):
    apply_time("apply_1", 1, 500 if quick else 5_000)


def apply_async(quick):
    tasks = 5_000 if quick else 50_000

    def once():
        results = [pool.apply_async(ident, (i,)) for i in range(tasks)]
        for result in results:
            result.get()

    with new_pool(2) as pool:
        report_rate("apply_async", tasks, 2, once)


def vector_64mib(quick):
    values = array.array("d", [1.5]) * (8 * 1024 * 1024)
    with new_pool(2) as pool:
        seconds = median_seconds(1 if quick else 3, lambda: pool.apply(ident, (values,)))
    report("vector_64mib", seconds * 1e3, "ms")


def pool_start(quick):
    def once():
        pool = new_pool(4)
        pool.close()
        pool.join()

    report("pool_start", median_seconds(3 if quick else 20, once) * 1e6, "us")


def nothing():
    pass


def start_time(method, repeats):
    context = multiprocessing.get_context(method)

    def once():
        process = context.Process(target=nothing)
        process.start()
        process.join()

    report("start_" + method, median_seconds(repeats, once) * 1e6, "us")


def start_fork(quick):
    start_time("fork", 20 if quick else 200)


def start_forkserver(quick):
    start_time("forkserver", 5 if quick else 50)


def start_spawn(quick):
    start_time("spawn", 5 if quick else 30)


def memory(quick):
    with new_pool(2) as pool:
        time.sleep(0.3)
        pss = []
        for process in multiprocessing.active_children():
            with open(f"/proc/{process.pid}/smaps_rollup") as rollup:
                pss += [int(line.split()[1]) / 1024 for line in rollup if line.startswith("Pss:")]
    report("memory_start_pss", statistics.median(pss), "MiB")


MEASURES = [
    map_defaults,
    map_chunk1,
    imap,
    imap_unordered,
    apply,
    apply_1,
    apply_async,
    vector_64mib,
    pool_start,
    start_fork,
    start_forkserver,
    start_spawn,
    memory,
]

if __name__ == "__main__":
    by_name = {measure.__name__: measure for measure in MEASURES}
    if len(sys.argv) < 2:
        print("\n".join(by_name))
    else:
        by_name[sys.argv[1]]("--quick" in sys.argv[2:])
