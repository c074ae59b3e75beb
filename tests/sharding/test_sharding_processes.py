"""One device, a mesh of eight, two processes of four: same numbers, any of them resumes any."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sharded_program as program

from jaxswarm import launch, sharding

TOLERANCE = 1e-5  # float32; reductions over agents add in another order
ROUNDS = 20
ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


def same(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        a, b = found[name], expected[name]
        if b.dtype.kind in "iub":
            np.testing.assert_array_equal(a, b, err_msg=name)
        else:
            np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


@functools.cache
def reference(rounds=ROUNDS):
    return program.flat(*program.run(None, rounds))


def launching(*arguments, processes=2, devices=4, script=program.__file__):
    """The command line and the environment."""
    command = [sys.executable, "-m", "jaxswarm.launch", "--processes", str(processes)]
    command += ["--devices-per-process", str(devices), str(script), *map(str, arguments)]
    return command, {**os.environ, "PYTHONPATH": str(ROOT)}


def launched(*arguments, processes=2, devices=4, script=program.__file__):
    command, environment = launching(
        *arguments, processes=processes, devices=devices, script=script
    )
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_a_mesh_of_eight_gives_the_same_run():
    same(program.flat(*program.run(sharding.mesh(), ROUNDS)), reference())


@pytest.mark.slow
def test_a_mesh_resumes_what_one_device_began_and_back(tmp_path):
    program.run(None, 10, tmp_path / "a")
    same(
        program.flat(*program.run(sharding.mesh(4), ROUNDS, tmp_path / "a", resume=True)),
        reference(),
    )
    program.run(sharding.mesh(), 10, tmp_path / "b")
    same(program.flat(*program.run(None, ROUNDS, tmp_path / "b", resume=True)), reference())


def test_two_processes_continue_one_device_and_one_device_continues_them(tmp_path):
    checkpoint = tmp_path / "run"
    program.run(None, 10, checkpoint)
    done = launched(tmp_path / "two.npz", checkpoint, ROUNDS)
    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if "round" in line) == [
        f"[{i}] round {ROUNDS} on 8 devices" for i in (0, 1)
    ]
    same(dict(np.load(tmp_path / "two.npz")), reference())
    longer = program.flat(*program.run(None, ROUNDS + 10, checkpoint, resume=True))
    same(longer, reference(ROUNDS + 10))


DYING = """
import os, signal, sys
import jax, jax.numpy as jnp
from jaxswarm import launch, sharding
process, _ = launch.initialize(heartbeat_timeout_s=10)
total = jax.jit(jnp.sum)
x = sharding.shard(jnp.ones(8), sharding.mesh())
print("alive", total(x), flush=True)
if process == int(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
while True:
    total(x).block_until_ready()
"""


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_killed_process_stops_the_others_and_is_named(victim, tmp_path):
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    done = launched(victim, devices=1, script=script)
    assert done.returncode == 137, done.stderr
    named = f"process {victim} of 2 died (signal SIGKILL); the others were stopped"
    assert named in done.stderr, done.stderr
    # The other may be cut off before it says so.
    assert f"[{victim}] alive 8.0" in done.stdout.splitlines()


SUSPENDED = """
import os, signal, sys
import jax, jax.numpy as jnp
from jaxswarm import launch, sharding
process, _ = launch.initialize(heartbeat_timeout_s=5)
total = jax.jit(jnp.sum)
x = sharding.shard(jnp.ones(8), sharding.mesh())
print("alive", total(x), flush=True)
if process == int(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGSTOP)
while True:
    total(x).block_until_ready()
"""


@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.slow), 1])
@pytest.mark.slow
def test_a_suspended_process_is_named_not_the_one_that_waited_for_it(victim, tmp_path):
    script = tmp_path / "suspended.py"
    script.write_text(SUSPENDED)
    done = launched(victim, devices=1, script=script)
    assert done.returncode == 128 + signal.SIGSTOP, done.stderr
    named = f"process {victim} of 2 was suspended (SIGSTOP or SIGTSTP) and did not answer, then"
    assert named in done.stderr, done.stderr


APART = """
import sys
import jax, jax.numpy as jnp
from jaxswarm import Checkpoint, launch, sharding, simulate
process, _ = launch.initialize(heartbeat_timeout_s=10)
mesh = sharding.mesh()
x = sharding.shard(jnp.arange(8.0)[:, None], mesh)
folder = sys.argv[1] + (str(process) if sys.argv[2] == "apart" else "")

def step(key, state, inputs):
    return state + 1, state.mean()

try:
    simulate(
        step, x, 20, key=jax.random.key(0), checkpoint=Checkpoint(folder, every_rounds=10),
        resume=sys.argv[2] != "again", progress=False,
    )
except ValueError as error:
    print(type(error).__name__, str(error), flush=True)
"""


@pytest.mark.slow
def test_what_keeps_one_process_from_its_checkpoints_is_named_by_all(tmp_path):
    script = tmp_path / "apart.py"
    script.write_text(APART)

    def lines(*arguments):
        done = launched(*arguments, devices=1, script=script)
        assert done.returncode == 0, done.stderr
        return sorted(done.stdout.splitlines())

    began = time.monotonic()
    found = lines(tmp_path / "run", "apart")
    assert time.monotonic() - began < 60
    assert [line[:20] for line in found] == ["[0] CheckpointError ", "[1] CheckpointError "]
    assert all("process 1 (on " in line and f"in {tmp_path}/run1" in line for line in found)
    assert [p.name for p in (tmp_path / "run0").iterdir()] == []
    assert lines(tmp_path / "run", "together") == []
    assert [line[:26] for line in lines(tmp_path / "run", "again")] == [
        "[0] CheckpointExistsError ",
        "[1] CheckpointExistsError ",
    ]


@pytest.mark.parametrize("to", ["launcher", pytest.param("one process", marks=pytest.mark.slow)])
def test_ctrl_c_saves_a_checkpoint_and_ends_every_process(to, tmp_path):
    checkpoint = tmp_path / "run"
    command, environment = launching(tmp_path / "x.npz", checkpoint, 0, "long", devices=2)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        deadline = time.monotonic() + SECONDS
        while not list(checkpoint.glob("round_*")):  # rounds are under way
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        target = running.pid if to == "launcher" else child_of(running.pid)
        os.kill(target, signal.SIGINT)
        output, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 130, errors
    stopped = [line for line in output.splitlines() if "stopped after" in line]
    assert sorted(line[:3] for line in stopped) == ["[0]", "[1]"], output + errors
    rounds = {int(line.split("after ")[1].split()[0]) for line in stopped}
    newest = max(int(folder.name.split("_")[1]) for folder in checkpoint.glob("round_*"))
    assert rounds == {newest}
    assert all(f"checkpoint in {checkpoint}" in line for line in stopped)
    assert ("jaxswarm.launch: interrupted" in errors) == (to == "launcher")
    # What was saved is the run that was never stopped; one device carries it on.
    done = newest + 5
    same(program.flat(*program.run(None, done, checkpoint, resume=True)), reference(done))


def child_of(launcher):
    """The last process that the launcher started."""
    listed = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return int(listed[-1])


SCRIPT = """
import sys, time
from jaxswarm import launch
team = launch._given(None, None, None)
print("hello", *sys.argv[1:], flush=True)
if sys.argv[1:] == ["fail"] and team[2] == 2:
    sys.exit(7)
if sys.argv[1:] == ["fail"]:
    time.sleep(60)
"""


def test_launcher_passes_arguments_output_and_exit_status(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = launched("--a", "b", processes=3, script=script)
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == [f"[{i}] hello --a b" for i in range(3)]
    failed = launched("fail", processes=3, script=script)
    assert failed.returncode == 7
    assert "process 2 of 3 died (exit status 7); the others were stopped" in failed.stderr


def test_a_single_process_needs_nobody(monkeypatch):
    names = (launch.COORDINATOR, launch.PROCESSES, launch.PROCESS_ID)
    for name in (*names, "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launch.initialize() == (0, 1)
    assert launch.initialize("127.0.0.1:1", 1, 0) == (0, 1)
    monkeypatch.setenv("SLURM_NTASKS", "8")  # a batch script, or a shell: not one of the tasks
    assert launch.initialize() == (0, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert launch.initialize() == (0, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("host:1", 2, None), r"arguments: .* missing \['process'\]"),
        (("host", 2, 0), "HOST:PORT, got 'host'"),
        (("host:1", 2, 2), r"process: expected an index in \[0, 2\), got 2"),
        (("host:1", 2, 0.5), r"process: expected an index in \[0, 2\), got 0.5"),
        (("host:1", 2.5, 0), "processes: expected a whole number of at least 1, got 2.5"),
        (("host:1", "2", 0), "processes: expected a whole number of at least 1, got .2."),
        (("host:1", True, 0), "processes: expected a whole number of at least 1, got True"),
        ((3, 2, 0), "coordinator: expected HOST:PORT, got 3"),
    ],
)
def test_bad_teams_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        launch.initialize(*given)


@pytest.mark.parametrize("name", ["start_timeout_s", "heartbeat_timeout_s"])
@pytest.mark.parametrize("value", [0, -1, 2.5, float("nan"), None, "30", True])
def test_bad_timeouts_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected a whole number of at least 1"):
        launch.initialize(**{name: value})


def test_bad_environments_are_named(monkeypatch):
    monkeypatch.setenv(launch.COORDINATOR, "host:1")
    monkeypatch.setenv(launch.PROCESSES, "two")
    monkeypatch.setenv(launch.PROCESS_ID, "0")
    with pytest.raises(ValueError, match=f"{launch.PROCESSES}: expected a whole .* got .two."):
        launch.initialize()


def test_bad_command_lines(capsys):
    assert launch.main(["--processes", "0", "x.py"]) == 2
    assert launch.main(["--processes", "2", "--process-id", "1", "x.py"]) == 2
    for nothing_to_run in ([], ["-m"], ["no_such_file.py"]):
        assert launch.main(["--processes", "2", *nothing_to_run]) == 2
    errors = capsys.readouterr().err
    assert "--coordinator, --process-id: expected both or neither" in errors
    assert "SCRIPT: expected a Python file, no_such_file.py does not exist" in errors
