"""A disk that fills up: every single write of a run fails once, and from then on, all of them do.

A small library is put between Python (and SQLite) and the C library. It counts what writes
below one folder and answers "no space left on device" from the Nth on. It is compiled here,
where there is a C compiler; without one the drill says so and is not run.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.drills.toy import Row, campaign, finish, opened
from designer.campaign import Campaign
from designer.errors import DiskFullError
from designer.store import Store

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long count = 0, limit = 0, once = 0;
void fail_from(long n, long one) { count = 0; limit = n; once = one; }
long counted(void) { return count; }

static int under(const char *path) {
    const char *root = getenv("FAIL_UNDER");
    return root && strncmp(path, root, strlen(root)) == 0;
}
static int full(void) {
    count++;
    if (limit && (once ? count == limit : count >= limit)) { errno = ENOSPC; return 1; }
    return 0;
}
static int fails(int fd) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return under(path) && full();
}
#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
ssize_t write(int fd, const void *b, size_t n) { REAL(write); return fails(fd) ? -1 : real(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o)
{ REAL(pwrite); return fails(fd) ? -1 : real(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o)
{ REAL(pwrite64); return fails(fd) ? -1 : real(fd, b, n, o); }
int fsync(int fd) { REAL(fsync); return fails(fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return fails(fd) ? -1 : real(fd); }
int rename(const char *a, const char *b) { REAL(rename); return under(b) && full() ? -1 : real(a, b); }
int mkdir(const char *a, mode_t m)
{ static int (*real)(const char *, mode_t); if (!real) real = dlsym(RTLD_NEXT, "mkdir");
  return under(a) && full() ? -1 : real(a, m); }
#define OPEN(name) \
int name(const char *path, int flags, ...) { \
    static int (*real)(const char *, int, ...); if (!real) real = dlsym(RTLD_NEXT, #name); \
    va_list v; va_start(v, flags); mode_t m = (flags & O_CREAT) ? va_arg(v, mode_t) : 0; va_end(v); \
    if ((flags & O_CREAT) && access(path, F_OK) && under(path) && full()) return -1; \
    return real(path, flags, m); }
OPEN(open)
OPEN(open64)
"""  # noqa: E501


def _short(store: Any = None) -> Campaign:
    return campaign(store, steps=3)


def full_disk(folder: Path, stride: int = 1) -> list[Row]:
    """Run the toy campaign once for every (`stride`th) write it makes, with that write failing."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return [Row("full disk, every Nth write", 0, 0, 0, "not run: needs Linux and a C compiler")]
    source, library = folder / "full.c", folder / "full.so"
    source.write_text(SHIM)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    root = folder / "disk"
    root.mkdir()
    env = os.environ | {"LD_PRELOAD": str(library), "FAIL_UNDER": str(root)}
    code = "import sys; from cli.drills.disk import inside; inside(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(library), str(root), str(stride)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode or done.stderr:
        print(done.stderr[-4000:], file=sys.stderr)
    return [Row(*values) for values in json.loads(done.stdout.splitlines()[-1])]


def inside(library: str, root: str, stride: str) -> None:
    """Run the drill in a process that has the library in it; print the rows as JSON."""
    shim = ctypes.CDLL(library)
    rows = [_every(shim, Path(root), int(stride), once) for once in (False, True)]
    print(json.dumps([list(vars(row).values()) for row in rows]))


def _every(shim: Any, root: Path, stride: int, once: bool) -> Row:
    whole = finish(root / "whole", _short)
    tries = survived = lost = 0
    for n in itertools.count(1, stride):
        path = root / f"{once}{n}"
        failed, paid, sound = _broken_run(shim, path, n, once)
        if failed is None:  # the run is over before that write
            break
        tries += 1
        ended = finish(path, _short) == whole  # the space is back
        store = Store(path / "campaign.sqlite")
        kept = {row.key for row in store.evaluations()} | {part.key for part in store.parts()}
        store.close()
        lost += len(paid - kept)
        survived += sound and ended
        if not ended:
            print(f"{n}: resumed to another end after {failed}", file=sys.stderr)
        shutil.rmtree(path)
    note = (
        f"every {stride}. write; resumed to the end"
        if stride > 1
        else "every N; resumed to the end"
    )
    what = "one write fails" if once else "no write works from the Nth on"
    return Row(f"full disk: {what}", tries, survived, lost, note)


def _broken_run(shim: Any, path: Path, n: int, once: bool) -> tuple[str | None, set[str], bool]:
    """Return what the run said, what it had acknowledged, and whether that was exit 7."""
    paid: set[str] = set()
    said = None
    shim.fail_from(n, int(once))
    try:
        with _watched(paid):
            run, job = opened(path, _short)
            try:
                job.run(save=lambda: run.save(job.state()))
            finally:
                run.close()
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        sound = isinstance(error, DiskFullError)
    else:
        reached = shim.counted() >= n
        said, sound = ("finished in spite of it" if reached else None), True
    finally:
        shim.fail_from(0, 0)
    if not sound:
        print(n, said, file=sys.stderr)
    return said, paid, sound


@contextmanager
def _watched(paid: set[str]) -> Iterator[None]:
    """Collect the keys that the store acknowledged."""
    keep, keep_parts = Store.keep, Store.keep_parts

    def keeping(self: Store, rows: Any, *, durable: bool) -> None:
        keep(self, rows, durable=durable)
        paid.update(row.key for row in rows)

    def keeping_parts(self: Store, parts: Any, *, durable: bool) -> None:
        keep_parts(self, parts, durable=durable)
        paid.update(part.key for part in parts)

    Store.keep, Store.keep_parts = keeping, keeping_parts  # type: ignore[method-assign]
    try:
        yield
    finally:
        Store.keep, Store.keep_parts = keep, keep_parts  # type: ignore[method-assign]


def small_disk(folder: Path, sizes: int) -> Row:
    """Run on real file systems of 1, 2, 3 ... pages more; needs the right to mount one."""
    place = folder / "small"
    place.mkdir()
    tries = survived = lost = full = 0
    whole = finish(folder / "whole", campaign)
    for number in range(sizes):
        size = (16 + 4 * number) * 1024
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            return Row("a real full file system", 0, 0, 0, "not run: no right to mount one")
        try:
            tries += 1
            paid: set[str] = set()
            try:
                with _watched(paid):
                    finish(place / "run", campaign)
            except DiskFullError:
                full += 1
                more = ["mount", "-o", "remount,size=64m", str(place)]
                subprocess.run(more, check=True, capture_output=True)
                survived += finish(place / "run", campaign) == whole
                store = Store(place / "run" / "campaign.sqlite")
                lost += len(paid - {row.key for row in store.evaluations()})
                store.close()
            else:
                survived += 1
        finally:
            subprocess.run(["umount", str(place)], check=True)
    note = f"{full} sizes were too small; grown, then resumed to the end"
    return Row("a real full file system", tries, survived, lost, note)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(full_disk(Path(name)))
