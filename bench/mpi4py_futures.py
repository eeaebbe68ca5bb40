"""mpi4py.futures: the map of an MPIPoolExecutor over the busy loop, called through ctypes.

    SPIN_LIBRARY=build/bench/libspin.so \\
        mpirun -n 3 /usr/bin/python3 -m mpi4py.futures mpi4py_futures.py GRAIN_US TASKS [MESSAGES]

Prints "GRAIN_US TASKS SECONDS", as the C peers do. Without MESSAGES each task is a message; with it
the tasks go out in so many batches, by the chunksize of Executor.map. The library comes by the
environment because workers do not see the arguments.
"""
import collections
import ctypes
import itertools
import os
import sys
import time

from mpi4py.futures import MPIPoolExecutor

spin_us = ctypes.CDLL(os.environ["SPIN_LIBRARY"]).spin_us
spin_us.argtypes = [ctypes.c_double]
spin_us.restype = None


def cook(grain_us):
    spin_us(grain_us)


def main():
    grain_us, n_tasks = float(sys.argv[1]), int(sys.argv[2])
    n_messages = int(sys.argv[3]) if len(sys.argv) > 3 else n_tasks
    chunksize = max(1, n_tasks // n_messages)
    with MPIPoolExecutor() as executor:
        executor.bootup(wait=True)
        for _ in executor.map(cook, [0.0] * 8):  # the workers import this file at their first task
            pass
        start = time.monotonic()
        answers = executor.map(
            cook, itertools.repeat(grain_us, n_tasks), chunksize=chunksize, unordered=True
        )
        collections.deque(answers, maxlen=0)
        print(f"{grain_us:g} {n_tasks} {time.monotonic() - start:.9f}")


if __name__ == "__main__":
    main()
