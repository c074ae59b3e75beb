"""Supervision of the child processes of :mod:`jaxswarm.launch`: output, failures, signals."""

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 3.0
_CAUSE_SECONDS = 1.0
"""Time to wait after a failure that a lost peer may have caused, until the peer's end is known."""
_NOISE = re.compile(r"Expected number of connected peer ranks is")  # gloo, once per connection


def watch(children: dict[int, subprocess.Popen[str]], count: int, asked: list[int]) -> int:
    """Pass output on until all have ended, one has died or a signal came; stop the others.

    Args:
        children: the processes of this machine.
        count: number of processes in all.
        asked: signals that this process has received and passed on; filled by the handler.
    """
    threads = []
    for index, child in children.items():
        for stream, out in ((child.stdout, sys.stdout), (child.stderr, sys.stderr)):
            threads.append(threading.Thread(target=_copy, args=(index, stream, out), daemon=True))
            threads[-1].start()
    dead = _first_death(children, asked)
    running = [(index, child) for index, child in children.items() if child.poll() is None]
    suspended = [str(index) for index, child in running if _is_suspended(child.pid)]
    _stop([child for _, child in running])
    for thread in threads:
        thread.join(timeout=_GRACE_SECONDS)
    if dead is None:
        return 128 + signal.SIGTERM if signal.SIGTERM in asked else 0
    index, status = dead
    if _interrupted(status, asked):
        print("jaxswarm.launch: interrupted", file=sys.stderr, flush=True)
        return 128 + signal.SIGINT
    how = f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
    if suspended and _blame(status):  # the process that died may have waited for it
        print(
            f"jaxswarm.launch: process {', '.join(suspended)} of {count} was suspended (SIGSTOP or "
            f"SIGTSTP) and did not answer, then process {index} died ({how}); all were stopped",
            file=sys.stderr,
            flush=True,
        )
        return 128 + signal.SIGSTOP
    others = "; the others were stopped" if len(children) > 1 else ""
    print(
        f"jaxswarm.launch: process {index} of {count} died ({how}){others}",
        file=sys.stderr,
        flush=True,
    )
    return status if status >= 0 else 128 - status


def _first_death(
    children: dict[int, subprocess.Popen[str]], asked: list[int]
) -> tuple[int, int] | None:
    """``(process, return code)`` of the first failure; ``None`` without one, or on SIGTERM."""
    failed: dict[int, int] = {}  # in the order of detection
    began = 0.0
    while signal.SIGTERM not in asked:
        codes = {index: child.poll() for index, child in children.items()}
        new = {index: code for index, code in codes.items() if code and index not in failed}
        if new and not failed:
            began = time.monotonic()
        failed |= new
        over = all(code is not None for code in codes.values())
        if failed:
            cause = min(failed.items(), key=lambda item: _blame(item[1]))
            if all(_interrupted(code, asked) for code in failed.values()):
                grace = _GRACE_SECONDS  # the others got the signal too and end by themselves
            else:
                grace = _CAUSE_SECONDS if _blame(cause[1]) else 0.0
            if over or time.monotonic() - began >= grace:
                return cause
        elif over:
            return None
        time.sleep(_POLL_SECONDS)
    return None


def _interrupted(code: int, asked: list[int]) -> bool:
    """Whether a process ended because of Ctrl-C."""
    return signal.SIGINT in asked and code in (-signal.SIGINT, 128 + signal.SIGINT)


def _blame(code: int) -> int:
    """Rank of a return code as the cause of a failure, 0 first: killed, failed, aborted."""
    if code > 0:
        return 1
    return 2 if -code == signal.SIGABRT else 0


def _is_suspended(pid: int) -> bool:
    """Whether ``/proc`` shows that a process is stopped by a signal or a debugger."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in "Tt"


def _stop(children: list[subprocess.Popen[str]]) -> None:
    for child in children:
        child.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _copy(index: int, stream: IO[str] | None, out: IO[str]) -> None:
    assert stream is not None
    for line in stream:
        if _NOISE.search(line):
            continue
        out.write(f"[{index}] {line.rstrip()}\n")
        out.flush()
