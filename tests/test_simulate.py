"""Properties of `rollout` and `simulate`: same rounds and records for any chunk length."""

import functools
import logging
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxswarm import NonFiniteWarning, Timing, _simulate, rollout, simulate
from jaxswarm._rollout import chunk_program

N = 6


class State(NamedTuple):
    x: jax.Array
    keys: jax.Array
    count: jax.Array


def start() -> State:
    x = jnp.arange(N * 2, dtype=jnp.float32).reshape(N, 2)
    return State(x, jax.random.split(jax.random.key(7), N), jnp.int32(0))


def step(key, state, inputs):
    noise = jax.vmap(lambda k: jax.random.normal(k, (2,)))(state.keys)
    x = 0.5 * state.x + noise + inputs + jax.random.uniform(key)
    keys = jax.vmap(lambda k: jax.random.fold_in(k, state.count))(state.keys)
    return State(x, keys, state.count + 1), {"mean": x.mean(), "agents": x.sum(axis=1)}


def evaluate(state):
    return jnp.square(state.x).sum()


def plain(tree):
    def leaf(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if is_key else x)

    return jax.tree.map(leaf, tree)


def assert_same(a, b):
    a, b = plain(a), plain(b)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


run = functools.partial(simulate, progress=False)


@pytest.mark.parametrize(("num_rounds", "every"), [(12, 1), (12, 4), (11, 4), (3, 4), (0, 1)])
def test_simulate_is_rollout_is_a_python_loop(key, num_rounds, every):
    inputs = jnp.float32(0.25)
    state, records = run(
        step, start(), num_rounds, key=key, inputs=inputs, every=every, evaluate=evaluate
    )
    jitted = jax.jit(
        lambda s, k: rollout(
            step, s, num_rounds, key=k, inputs=inputs, every=every, evaluate=evaluate
        )
    )
    assert_same((state, records), jitted(start(), key))

    looped, rounds, infos, values = start(), [], [], []
    one = jax.jit(lambda r, s: step(jax.random.fold_in(key, r), s, inputs))
    for r in range(num_rounds):
        looped, info = one(r, looped)
        if (r + 1) % every == 0:
            rounds.append(r + 1)
            infos.append(info)
            values.append(evaluate(looped))
    assert_same(state, looped)
    assert records.round.tolist() == rounds
    assert records.info["agents"].shape == (num_rounds // every, N)
    if rounds:
        stacked = jax.tree.map(lambda *x: np.stack(x), *infos)
        assert_same(records.info["agents"], stacked["agents"])
        np.testing.assert_allclose(records.info["mean"], stacked["mean"], rtol=1e-6)
        np.testing.assert_allclose(records.evaluation, np.stack(values), rtol=1e-6)


@pytest.mark.parametrize("every", [1, 5])
def test_results_do_not_depend_on_chunks(key, every):
    def go(chunk):
        return run(step, start(), 23, key=key, inputs=1.0, every=every, chunk=chunk)

    reference = go(None)
    for chunk in (1, 2, 3, 7, 23, 1000):
        assert_same(reference, go(chunk))


def test_records_beyond_the_buffers_of_one_chunk(key):
    state, records = run(
        lambda key, s, inputs: (s + 1, s), jnp.zeros((), jnp.int32), 70_000, key=key, chunk=70_000
    )
    assert int(state) == 70_000
    np.testing.assert_array_equal(records.info, np.arange(70_000))
    np.testing.assert_array_equal(records.round, np.arange(1, 70_001))
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(records))


def test_a_longer_run_begins_with_the_shorter_ones_records(key):
    _, short = run(step, start(), 10, key=key, inputs=0.0, every=4)
    _, long = run(step, start(), 20, key=key, inputs=0.0, every=4)
    assert_same(short, jax.tree.map(lambda x: x[:2], long))


def compiled_programs(caplog):
    return sum(r.message.startswith("Compiling jit(program)") for r in caplog.records)


def test_compiles_once_and_traces_once(key, caplog):
    traced = []

    def counted(key, state, inputs):
        traced.append(1)
        return step(key, state, inputs)

    args = {"key": key, "every": 3, "evaluate": evaluate}
    first, second = Timing(), Timing()
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        run(counted, start(), 20, inputs=np.float32(1), chunk=7, timing=first, **args)
    assert compiled_programs(caplog) == 1
    caplog.clear()
    traces, state, inputs = len(traced), start(), jnp.float32(2)
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        run(counted, state, 50, inputs=inputs, timing=second, **args)
    assert traces == len(traced) == 1
    assert not [r.message for r in caplog.records if "ompil" in r.message]
    assert second.compile_s < first.compile_s
    assert (first.rounds, second.rounds) == (20, 50)
    assert second.rounds_per_s > 0


def test_the_callers_state_survives(key):
    state = start()
    before = plain(state)
    run(step, state, 5, key=key, inputs=1.0)
    run(step, state, 5, key=key, inputs=1.0)
    assert_same(before, state)


def test_the_state_is_donated_between_chunks():
    state = jnp.zeros((1000, 100))
    program = chunk_program(lambda k, s, i: (s + 1, None), None, 1, 8, None)
    out = program(state, jax.random.key(0), None, np.int32(0), np.int32(1))
    assert state.is_deleted()
    assert not out.state.is_deleted()


def test_python_numbers_and_weak_types_are_welcome(key):
    state, records = run(
        lambda key, s, i: ({"a": jnp.where(s["a"] > 2, 0.0, 1.0), "n": s["n"] + 1}, s["n"]),
        {"a": 3.0, "n": 0},
        4,
        key=key,
        every=2,
    )
    assert float(state["a"]) == 1.0
    assert int(state["n"]) == 4
    assert records.info.tolist() == [1, 3]
    assert records.evaluation is None


def test_vmap_over_seeds_is_a_loop_over_seeds(key):
    seeds = jax.random.split(key, 3)

    def one(k):
        state, records = rollout(step, start(), 6, key=k, inputs=1.0, every=2)
        return state.x, records

    batched = jax.jit(jax.vmap(one))(seeds)
    for i in range(3):
        single = jax.jit(one)(seeds[i])
        close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
        jax.tree.map(lambda b, s, i=i, close=close: close(b[i], s), batched, single)


@pytest.mark.parametrize("every", [1, 3])
def test_gradients_flow_through_a_rollout(key, every):
    def final(rate):
        state, records = rollout(
            lambda key, x, i: (x * rate, x.sum()), jnp.ones(4), 6, key=key, every=every
        )
        return state.sum() + records.info[-1]

    value, slope = jax.value_and_grad(final)(0.9)
    np.testing.assert_allclose(value, 4 * 0.9**6 + 4 * 0.9**5, rtol=1e-5)
    np.testing.assert_allclose(slope, 4 * 6 * 0.9**5 + 4 * 5 * 0.9**4, rtol=1e-5)


def test_sharded_equals_unsharded_and_compiles_once(key, caplog):
    def mixing(key, state, inputs):
        x = 0.5 * (state["x"] + jnp.roll(state["x"], 1, axis=0)) * inputs
        return {"x": x, "t": state["t"] + 1}, x.mean()

    agents = NamedSharding(Mesh(np.array(jax.devices()), "agents"), P("agents"))
    x = jnp.arange(32.0).reshape(16, 2)
    placed = {"x": jax.device_put(x, agents), "t": jnp.int32(0)}
    inputs = np.float32(0.99)
    expected, _ = run(mixing, {"x": x, "t": 0}, 9, key=key, inputs=inputs)
    chunk_program.cache_clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        state, records = run(mixing, placed, 9, key=key, inputs=inputs, chunk=2)
    assert compiled_programs(caplog) == 1
    np.testing.assert_allclose(state["x"], expected["x"], rtol=1e-6)
    assert state["x"].sharding.is_equivalent_to(agents, 2)
    assert records.info.shape == (9,)


def test_progress_bar_shows_rounds_and_numbers(key, capsys):
    def shown(last):
        return {"loss": float(last.info["mean"])}

    simulate(step, start(), 20, key=key, inputs=1.0, describe=shown)
    text = capsys.readouterr().err
    assert "20.0/20.0" in text
    assert "compiled in" in text
    assert "loss=" in text
    simulate(step, start(), 20, key=key, inputs=1.0, evaluate=evaluate)
    text = capsys.readouterr().err
    assert "evaluation=" in text
    assert "mean=" in text
    simulate(step, start(), 20, key=key, inputs=1.0, progress=False)
    assert capsys.readouterr().err == ""


def diverging(key, state, inputs):
    x = state["x"].at[2].mul(1e30)
    return {"x": x, "best": state["best"]}, None


def test_nan_is_reported_once_by_agent_and_rounds(key):
    state = {"x": jnp.ones((N, 2)), "best": jnp.full(N, jnp.inf)}
    with pytest.warns(NonFiniteWarning) as caught:
        run(diverging, state, 8, key=key, chunk=2)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "leaf ['x'], 1 of 6 agents: [2]" in message
    assert "between rounds 0 and 2" in message
    assert "best" not in message
    assert caught[0].filename == __file__


def test_nan_can_stop_the_run_or_be_ignored(key):
    state = {"x": jnp.ones((N, 2)), "best": jnp.zeros(N)}
    with pytest.raises(FloatingPointError, match=r"agents: \[2\]"):
        run(diverging, state, 8, key=key, on_nonfinite="raise")
    run(diverging, state, 8, key=key, on_nonfinite="ignore")


def keep(key, state, inputs):
    return state, None


@pytest.mark.parametrize("function", [run, rollout])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_rounds": -1}, "num_rounds: expected a whole number in .* got -1"),
        ({"num_rounds": 2.5}, "num_rounds: expected a whole number in .* got 2.5"),
        ({"num_rounds": True}, "num_rounds"),
        ({"every": 0}, "every: expected a whole number in .* got 0"),
        ({"step": "no"}, "step: expected a function, got 'no'"),
        ({"evaluate": 3}, "evaluate: expected a function, got 3"),
        ({"key": np.zeros(2, np.uint32)}, r"jax\.random\.key"),
        ({"key": 0}, r"jax\.random\.key"),
        ({"step": lambda k, s, i: s}, r"expected to return \(state, info\), got dict"),
        (
            {"step": lambda k, s, i: ({"w": s["w"][:2]}, None)},
            r"leaf \['w'\] must keep float32\[3\], step returned float32\[2\]",
        ),
        (
            {"step": lambda k, s, i: ({"w": s["w"].astype(jnp.bfloat16)}, None)},
            r"leaf \['w'\] must keep float32\[3\], step returned bfloat16\[3\]",
        ),
        ({"step": lambda k, s, i: ({}, None)}, r"it lost leaf \['w'\]"),
        ({"step": lambda k, s, i: ({**s, "v": s["w"]}, None)}, r"it gained leaf \['v'\]"),
        (
            {"step": lambda k, s, i: (s, k)},
            "info: expected arrays to record, got a random key at leaf <root>",
        ),
        (
            {"state": {"w": "text"}},
            r"state: expected an array or a number at leaf \['w'\], got str",
        ),
        ({"inputs": {"a": object()}}, r"inputs: expected an array .* leaf \['a'\], got object"),
        *(
            (
                {what: {"w": value}},
                rf"{what}: expected values that fit {dtype} at leaf \['w'\], got ",
            )
            for what in ("state", "inputs")
            for value, dtype in (
                (2**40, "int32"),
                (2**70, "int32"),
                (-(2**31) - 1, "int32"),
                (np.int64(2**40), "int32"),
                (np.array([1, 2**40]), "int32"),
                (np.array([1, 2**40], np.uint64), "uint32"),
                (np.array([1e300, 1.0]), "float32"),
                (-1e39, "float32"),
            )
        ),
    ],
)
def test_bad_input_is_named(key, function, change, message):
    args = {"step": keep, "state": {"w": jnp.ones(3)}, "num_rounds": 4, "key": key} | change
    with pytest.raises(ValueError, match=message):
        function(args.pop("step"), args.pop("state"), args.pop("num_rounds"), **args)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunk": 0}, "chunk: expected a whole number"),
        ({"on_nonfinite": "explode"}, "unknown on_nonfinite 'explode'.*'ignore', 'raise', 'warn'"),
        ({"resume": True}, "resume: expected a checkpoint"),
        ({"resume": "yes"}, r"resume: expected bool"),
        ({"progress": 1}, r"progress: expected bool"),
        ({"describe": "loss"}, "describe: expected a function, got 'loss'"),
        ({"timing": 0.0}, r"timing: expected a Timing such as jaxswarm.Timing\(\), got 0.0"),
        ({"checkpoint": 3}, "checkpoint path: expected a folder .*, got 3"),
        ({"checkpoint": ""}, "checkpoint path: expected a folder .*, got ''"),
        ({"key": jax.random.split(jax.random.key(0), 2)}, r"shape \(\), got shape \(2,\)"),
    ],
)
def test_bad_options_of_simulate_are_named(key, change, message):
    with pytest.raises(ValueError, match=message):
        run(keep, {"w": jnp.ones(3)}, 4, **({"key": key} | change))


def test_a_callable_that_cannot_be_hashed_still_works(key):
    class Doubling:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, key, state, inputs):
            return 2 * state, None

    state, _ = run(Doubling(), jnp.ones(2), 3, key=key)
    assert state.tolist() == [8.0, 8.0]


def test_values_that_fit_32_bits_pass(key):
    state = {
        "i": np.array([2**31 - 1, -(2**31)]),
        "u": np.array([2**32 - 1], np.uint64),
        "f": np.array([0.1, np.inf, np.nan]),
        "b": True,
    }
    found, _ = run(keep, state, 2, key=key, inputs=state, on_nonfinite="ignore")
    assert found["i"].tolist() == state["i"].tolist()
    assert found["u"].tolist() == state["u"].tolist()


def test_descriptions_that_are_no_dict_are_named(key):
    with pytest.raises(ValueError, match="describe: expected a dict of numbers, got 3"):
        simulate(keep, {"w": jnp.ones(3)}, 4, key=key, describe=lambda record: 3)


def test_a_large_state_wakes_the_host_less_often(monkeypatch):
    def chunks(large):
        ends = []
        monkeypatch.setattr(_simulate, "_LARGE_BYTES", 1 if large else 2**40)
        monkeypatch.setattr(_simulate, "_WAKE_SECONDS", 1e-9)
        monkeypatch.setattr(_simulate, "_WAKE_SECONDS_LARGE", 1e9)
        take = _simulate._take
        with monkeypatch.context() as patch:
            patch.setattr(_simulate, "_take", lambda *a: ends.append(a[2]) or take(*a))
            _simulate.simulate(_double, 1.0, 20, key=jax.random.key(0), progress=False)
        return ends

    assert chunks(large=False) == list(range(1, 21))
    assert chunks(large=True) == [1, 9, 20]  # at most eight times as long as the last


def _double(key, state, inputs):
    return 2.0 * state, {}
