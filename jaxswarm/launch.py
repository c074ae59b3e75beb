r"""Multi-process runs: start several processes of one program, or join those of a cluster.

On one machine, two processes with four forced CPU devices each (gloo carries the collectives; on
GPUs it is NCCL)::

    python -m jaxswarm.launch --processes 2 --devices-per-process 4 \
        experiments/gossip_learning.py --agents 256

On a cluster, on every host ``I`` of ``H``: one process with all of its host's devices::

    python -m jaxswarm.launch --coordinator HOST0:1234 --processes H --process-id I SCRIPT ARGS…

``-m MODULE`` in place of ``SCRIPT`` runs a module, as ``python -m`` does.

Under SLURM and Open MPI no launcher is needed: jax reads the task's number from the environment and
gives the task one GPU, that of its number on the host. Start a task for every GPU, with all GPUs
visible to all tasks of a host::

    srun --nodes=2 --ntasks-per-node=8 --gpus-per-node=8 python SCRIPT ARGS…

The script calls :func:`initialize` before it uses a device. Output is passed on line by line,
prefixed with the number of the process. If a process dies, the others, which would wait for it
forever, are stopped, and the message and the exit status are those of the dead process. Ctrl-C is
sent to all: a simulation finishes its chunk, saves its checkpoint if it has one, and ends in every
process.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple, NoReturn

from jaxswarm._processes import watch

_EXAMPLES = """\
examples:
  two processes of four CPU devices each on this machine:
    python -m jaxswarm.launch --processes 2 --devices-per-process 4 \\
        experiments/gossip_learning.py --agents 256
  process 1 of 2 on a cluster, with all devices of this host:
    python -m jaxswarm.launch --processes 2 --coordinator host0:1234 --process-id 1 script.py
"""

COORDINATOR = "JAXSWARM_COORDINATOR"
PROCESSES = "JAXSWARM_PROCESSES"
PROCESS_ID = "JAXSWARM_PROCESS_ID"
LAUNCHER = "JAXSWARM_LAUNCHER"


class Team(NamedTuple):
    """Number of this process and of all processes.

    Attributes:
        process: in ``[0, processes)``; process 0 prints and writes.
        processes: number of processes.
    """

    process: int
    processes: int


def initialize(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    start_timeout_s: int = 120,
    heartbeat_timeout_s: int = 30,
) -> Team:
    """Join the other processes of a multi-process run; call it before any device is used.

    The processes are given by the arguments, else by ``python -m jaxswarm.launch``
    (``JAXSWARM_COORDINATOR``, ``JAXSWARM_PROCESSES``, ``JAXSWARM_PROCESS_ID``), else by SLURM or
    Open MPI. Without any of these nothing is done: the program is a single process.

    Args:
        coordinator: ``host:port`` of process 0, reachable from all.
        processes: number of processes, at least 1.
        process: number of this process, in ``[0, processes)``.
        start_timeout_s: seconds to wait for the other processes to start.
        heartbeat_timeout_s: seconds without a heartbeat after which a process counts as dead; the
            others then end with an error. ``jaxswarm.launch`` names the process that died or was
            suspended.

    Raises:
        ValueError: if only some of the three are given, or one is out of its range.
    """
    from jaxswarm import checks

    for name, seconds in (
        ("start_timeout_s", start_timeout_s),
        ("heartbeat_timeout_s", heartbeat_timeout_s),
    ):
        checks.whole(name, seconds, 1)
    given = _given(coordinator, processes, process)
    options: dict[str, Any] = {
        "initialization_timeout": int(start_timeout_s),
        "heartbeat_timeout_seconds": int(heartbeat_timeout_s),
    }
    if given is not None:
        address, count, index = given
        _stop_with_launcher()
        if count == 1:
            return Team(0, 1)
        import jax

        # Otherwise, inside a SLURM job, jax would use one GPU of the host only.
        options["cluster_detection_method"] = "deactivate"
        jax.distributed.initialize(address, count, index, **options)
        return Team(index, count)
    if _tasks() > 1:
        import jax

        jax.distributed.initialize(**options)
        return Team(jax.process_index(), jax.process_count())
    return Team(0, 1)


def _given(
    coordinator: str | None, processes: int | None, process: int | None
) -> tuple[str, int, int] | None:
    from jaxswarm import checks

    source = "arguments"
    names = ("coordinator", "processes", "process")
    values: list[Any] = [coordinator, processes, process]
    if all(value is None for value in values):
        source = f"environment ({COORDINATOR}, {PROCESSES}, {PROCESS_ID})"
        names = (COORDINATOR, PROCESSES, PROCESS_ID)
        values = [os.environ.get(name) for name in names]
        if all(value is None for value in values):
            return None
        values = [int(value) if value and value.isdigit() else value for value in values]
    missing = [name for name, value in zip(names, values, strict=True) if value is None]
    if missing:
        raise ValueError(
            f"{source}: expected coordinator, processes and process, missing {missing}"
        )
    address, count, index = values
    if not isinstance(address, str) or not re.fullmatch(r"\S+:\d+", address):
        raise ValueError(f"{names[0]}: expected HOST:PORT, got {address!r}")
    count = checks.whole(names[1], count, 1)
    return address, count, checks.index(names[2], index, count)


def _tasks() -> int:
    """Number of tasks that SLURM or Open MPI started together with this one.

    A batch script itself, and a shell of ``salloc``, see the job's variables but are not a task.
    """
    step = min(_number("SLURM_STEP_NUM_TASKS"), _number("SLURM_NTASKS"))
    return max(step, _number("OMPI_COMM_WORLD_SIZE"))


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() else 0


def _stop_with_launcher() -> None:
    """End this process when the launcher has ended, for any reason."""
    launcher = _number(LAUNCHER)

    def end_with_launcher() -> None:
        while os.getppid() == launcher:
            time.sleep(1.0)
        os._exit(1)

    if launcher and os.getppid() == launcher:
        threading.Thread(target=end_with_launcher, daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    given = _parser().parse_args(arguments)
    problem = _problem(given)
    if problem is not None:
        print(f"error: {problem} (see python -m jaxswarm.launch --help)", file=sys.stderr)
        return 2
    here = range(given.processes) if given.process_id is None else [given.process_id]
    address = given.coordinator or f"127.0.0.1:{_free_port()}"
    program = ["-m", *given.module] if given.module else [given.script, *given.args]
    command = [sys.executable, "-u", *program]
    children: dict[int, subprocess.Popen[str]] = {}
    asked: list[int] = []

    def forward(number: int, frame: object) -> None:
        asked.append(number)
        for child in children.values():
            if child.poll() is None:
                child.send_signal(number)

    # Set before the children start: handlers are reset in them, but an ignored Ctrl-C is inherited.
    before = {s: signal.signal(s, forward) for s in (signal.SIGINT, signal.SIGTERM)}
    for index in here:
        environment = _environment(address, given.processes, index, given.devices_per_process)
        children[index] = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            errors="replace",
        )
    try:
        return watch(children, given.processes, asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m jaxswarm.launch",
        usage="%(prog)s --processes P [options] (SCRIPT | -m MODULE) [ARGS ...]",
        description="Run a program in several processes that share one mesh of devices.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--processes", type=int, metavar="P", required=True, help="number of processes in all"
    )
    parser.add_argument(
        "--devices-per-process",
        type=int,
        metavar="D",
        help="force D CPU devices in each process; by default each uses the devices it finds",
    )
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0, for several hosts; needs --process-id",
    )
    parser.add_argument(
        "--process-id",
        type=int,
        metavar="I",
        help="start only process I (from 0) on this host; needs --coordinator",
    )
    parser.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        help="MODULE ARGS: a module to run in place of SCRIPT, and its arguments",
    )
    parser.add_argument(
        "script",
        metavar="SCRIPT",
        nargs="?",
        help="Python file to run; it calls jaxswarm.launch.initialize()",
    )
    parser.add_argument(
        "args", metavar="ARGS", nargs=argparse.REMAINDER, help="arguments of the program"
    )
    return parser


def _problem(given: argparse.Namespace) -> str | None:
    """What is wrong with the arguments, ``None`` if nothing is."""
    if given.processes < 1:
        return f"--processes: expected at least 1, got {given.processes}"
    if given.devices_per_process is not None and given.devices_per_process < 1:
        return f"--devices-per-process: expected at least 1, got {given.devices_per_process}"
    if (given.coordinator is None) != (given.process_id is None):
        return "--coordinator, --process-id: expected both or neither"
    if given.process_id is not None and not 0 <= given.process_id < given.processes:
        return f"--process-id: expected a number in [0, {given.processes}), got {given.process_id}"
    if not given.module and given.script is None:
        return "SCRIPT: expected a Python file or -m MODULE, got nothing to run"
    if given.script is not None and not os.path.exists(given.script):
        return f"SCRIPT: expected a Python file, {given.script} does not exist"
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _environment(address: str, count: int, index: int, devices: int | None) -> dict[str, str]:
    environment = {
        **os.environ,
        COORDINATOR: address,
        PROCESSES: str(count),
        PROCESS_ID: str(index),
        LAUNCHER: str(os.getpid()),
    }
    if devices is not None:
        flags = re.sub(
            r"--xla_force_host_platform_device_count=\S*", "", os.environ.get("XLA_FLAGS", "")
        )
        flags += f" --xla_force_host_platform_device_count={devices}"
        environment |= {"XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}
    return environment


if __name__ == "__main__":
    sys.exit(main())
