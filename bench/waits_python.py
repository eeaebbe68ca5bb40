#!/usr/bin/env python3
"""Waits and transfers as one would write them in Python; prints the seconds of the work alone.

waits_python.py asyncio N WAIT_MS OPEN     asyncio.sleep, OPEN at a time
waits_python.py threads LIST OPEN          urllib in a pool of threads
waits_python.py aiohttp LIST OPEN          one session, OPEN at a time

Contents are hashed, as banquet does.
"""
import asyncio
import hashlib
import sys
import time


async def bounded(function, items, n_open):
    """Calls function for each, n_open at a time, by as many workers as one would start."""
    rest = iter(items)

    async def worker():
        for item in rest:
            await function(item)

    await asyncio.gather(*(worker() for _ in range(n_open)))


async def sleeps(n, wait_ms, n_open):
    await bounded(lambda _: asyncio.sleep(wait_ms / 1000), range(n), n_open)


async def fetches(urls, n_open):
    import aiohttp

    connector = aiohttp.TCPConnector(limit=n_open)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def fetch(url):
            async with session.get(url) as answer:
                hashlib.blake2b(await answer.read()).digest()

        begin = time.perf_counter()
        await bounded(fetch, urls, n_open)
        return time.perf_counter() - begin


def threads(urls, n_open):
    import concurrent.futures
    import urllib.request

    def fetch(url):
        with urllib.request.urlopen(url) as answer:
            hashlib.blake2b(answer.read()).digest()

    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(n_open) as pool:
        for _ in pool.map(fetch, urls):
            pass
    return time.perf_counter() - begin


def main():
    what, *rest = sys.argv[1:]
    if what == "asyncio":
        begin = time.perf_counter()
        asyncio.run(sleeps(int(rest[0]), float(rest[1]), int(rest[2])))
        print(time.perf_counter() - begin)
        return
    with open(rest[0]) as file:
        urls = file.read().split()
    n_open = int(rest[1])
    print(asyncio.run(fetches(urls, n_open)) if what == "aiohttp" else threads(urls, n_open))


if __name__ == "__main__":
    main()
