"""MetaInf: cells, cost model with exact queues, features, selectors, budgets, histories."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness.compile import jit_fast_compile
from jaxswarm import gossip, topology
from jaxswarm.models import transformer
from jaxswarm.models.transformer import serving
from jaxswarm.systems import meta_inf
from jaxswarm.systems.meta_inf import _queue, _roofline

CHIP = meta_inf.Device("chip", 1e12, 1e11, 1e10, description="processor, DDR5")
FAST = dataclasses.replace(CHIP, name="fast", flops=4e12, bandwidth=1e12, price=3.0)
NET = meta_inf.Model("net", layers=4, width=256, hidden=1024, heads=4, vocab_size=1000)
CHAT = meta_inf.Workload("chat", 6, 2, 32, 8, 0.5, 0.5)
ONLINE = dataclasses.replace(CHAT, name="online", rate=20.0)
METHODS = tuple(meta_inf.PORTFOLIO)


@functools.cache
def world():
    return meta_inf.draw_world(3, num_devices=4, num_workloads=4, requests=6)


@functools.cache
def cells():
    w = world()
    return meta_inf.simulate_cells(
        w.devices, w.models[:3], w.workloads, w.efficiencies, meta_inf.PORTFOLIO
    )


def rows(seconds=(2.0, 1.5), devices=(CHIP,)):
    return [(d, NET, CHAT, m, s) for d in devices for m, s in zip("ab", seconds, strict=True)]


# The queues against slow loops.


def slow_static(arrivals, lengths, slots, prefill, step):
    time, queued, waited = 0.0, 0, 0.0
    while queued < len(lengths):
        time = max(time, arrivals[queued])
        taken = [i for i in range(queued, min(queued + slots, len(lengths))) if arrivals[i] <= time]
        time += prefill + (max(lengths[i] for i in taken) - 1) * step
        waited += sum(time - arrivals[i] for i in taken)
        queued += len(taken)
    return time, waited / len(lengths)


def slow_continuous(arrivals, lengths, slots, prefill, step):
    """One token at a time."""
    time, queued, waited, active = 0.0, 0, 0.0, []
    while queued < len(lengths) or active:
        if queued < len(lengths) and arrivals[queued] <= time and len(active) < slots:
            time += prefill
            active.append([queued, lengths[queued] - 1])
            queued += 1
        elif active:
            time += step
            active = [[i, left - 1] for i, left in active]
        else:
            time = arrivals[queued]
        for i, left in active:
            waited += (time - arrivals[i]) * (left <= 0)
        active = [[i, left] for i, left in active if left > 0]
    return time, waited / len(lengths)


@functools.partial(jax.jit, static_argnames=("kind",))
def queue_seconds(x, part, kind):
    if kind == "static":
        return _queue.static_seconds(x, part, x.lengths)
    return _queue.continuous_seconds(x, part, x.lengths, 4)


@pytest.mark.parametrize("kind", ["static", "continuous"])
@pytest.mark.parametrize("rate", [0.0, 0.5, 4.0])
def test_queues_equal_slow_loops(kind, rate):
    slow = slow_static if kind == "static" else slow_continuous
    for seed in range(4):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, 6, 7).astype(float)
        arrivals = np.cumsum(rng.exponential(size=7)) / rate if rate else np.zeros(7)
        padded = np.append(lengths, 0.0), np.append(arrivals, np.inf)
        x = _roofline.Sheet(*[0.0] * 20)._replace(
            lengths=jnp.asarray(padded[0]), arrivals=jnp.asarray(padded[1]), requests=7
        )
        for slots in (1, 3):
            part = _roofline.Costs(0.0, 0.7, 0.3, 1.0, 0.0, jnp.float32(slots))
            end, waited = slow(arrivals, lengths, slots, 0.7, 0.3)
            found = float(queue_seconds(x, part, kind))
            np.testing.assert_allclose(found, waited if rate else end, rtol=1e-4)


# The cost model.


def test_simulated_seconds_are_finite_deterministic_and_fall_with_better_devices():
    made = cells()
    assert np.isfinite(made.seconds).all()
    assert (made.seconds > 0).all()
    w = world()
    again = meta_inf.simulate_cells(
        w.devices, w.models[:3], w.workloads, w.efficiencies, meta_inf.PORTFOLIO
    )
    np.testing.assert_array_equal(again.seconds, made.seconds)
    faster = [
        dataclasses.replace(d, flops=2 * d.flops, bandwidth=2 * d.bandwidth, memory=2 * d.memory)
        for d in w.devices
    ]
    better = meta_inf.simulate_cells(
        faster, w.models[:3], w.workloads, w.efficiencies, meta_inf.PORTFOLIO
    )
    offline = np.array([made.workloads[i].rate == 0 for i in made.index[:, 2]])
    assert (better.seconds[offline] <= made.seconds[offline] * (1 + 1e-5)).all()


def test_reuse_of_an_empty_prefix_is_pure_overhead_and_of_a_long_one_is_not():
    largest = max(w.batch for w in world().workloads)  # and other sizes as those of `cells`
    devices = [dataclasses.replace(CHIP, name=str(i)) for i in range(4)]
    models = [dataclasses.replace(NET, name=str(i)) for i in range(3)]
    loads = [
        dataclasses.replace(CHAT, name=str(share), batch=largest, prompt=256, prefix_share=share)
        for share in (0.0, 0.9, 0.91, 0.92)
    ]
    made = meta_inf.simulate_cells(devices, models, loads, methods=meta_inf.PORTFOLIO)
    share = np.array([loads[i].prefix_share for i in made.index[:, 2]])
    reuse, plain = (made.seconds[:, METHODS.index(m)] for m in ("prefix reuse", "KV cache"))
    assert (reuse > plain)[share == 0].all()
    assert (reuse < plain)[share > 0].all()


@pytest.mark.slow
def test_thousands_of_nodes_are_one_program():
    many = meta_inf.draw_world(0, num_devices=2000, num_workloads=1, requests=6)
    index = np.stack([np.arange(2000), np.zeros(2000, int), np.zeros(2000, int)], axis=1)
    made = meta_inf.simulate_cells(
        many.devices, many.models, many.workloads, many.efficiencies, meta_inf.PORTFOLIO, index
    )
    assert made.seconds.shape == (2000, 6)
    assert len(np.unique(made.best)) > 1


def test_worlds_cover_the_same_grid_with_other_details():
    first, second = (meta_inf.draw_world(seed).workloads for seed in (0, 1))
    assert len(first) == meta_inf.FULL_GRID == 21
    for loads in (first, second):
        strata = {(w.description.split(";")[0], (w.batch > 2) + (w.batch > 4)) for w in loads}
        assert len(strata) == 21
        rates = sorted(w.rate for w in loads if w.rate)
        assert len(rates) == 10
        want = np.exp(np.log(0.5) + np.arange(11) / 10 * np.log(80.0))
        assert all(low <= rate <= high for low, rate, high in
                   zip(want, rates, want[1:], strict=False))  # fmt: skip
    assert [w.description for w in first] == [w.description for w in second]
    assert [w.prompt for w in first] != [w.prompt for w in second]


def test_workloads_have_the_mean_lengths_and_rates_they_say():
    load = meta_inf.Workload("x", 400, 4, 8, 50, spread=0.5, rate=10.0)
    assert abs(load.lengths.mean() / 50 - 1) < 0.02
    assert abs(load.lengths.std() / 25 - 1) < 0.1
    assert abs(load.arrivals[-1] / 40 - 1) < 0.02
    assert meta_inf.Workload("x", 3, 1, 8, 5).lengths.tolist() == [5, 5, 5]


@pytest.mark.slow
def test_fitted_efficiencies_reproduce_a_table_of_the_model():
    true = meta_inf.Efficiency(gemm=0.2, rows=3.0, stream=0.4, attention=0.05, launch=2e-4)
    loads = [meta_inf.Workload(f"{b} {p}", 8, b, p, 8, 0.5, 0.5) for b in (1, 4) for p in (16, 256)]
    made = meta_inf.simulate_cells([CHIP], [NET], loads, [true])
    fit = meta_inf.fit_efficiency(made, steps=40)
    assert np.median(np.abs(fit.log_errors)) < 0.05
    with pytest.raises(ValueError, match="one device"):
        meta_inf.fit_efficiency(cells())


# Tables.


def test_tables_survive_a_file(tmp_path):
    made = cells()
    meta_inf.save(made, tmp_path / "t.json")
    read = meta_inf.load(tmp_path / "t.json")
    np.testing.assert_array_equal(read.seconds, made.seconds)
    assert (read.devices, read.workloads, read.methods) == (
        made.devices, made.workloads, made.methods,
    )  # fmt: skip
    record = json.loads((tmp_path / "t.json").read_text())
    (tmp_path / "t.json").write_text(json.dumps(record | {"version": 99}))
    with pytest.raises(ValueError, match="version"):
        meta_inf.load(tmp_path / "t.json")
    (tmp_path / "t.json").write_text("[]")
    with pytest.raises(ValueError, match="path"):
        meta_inf.load(tmp_path / "t.json")


def test_an_equal_second_value_is_accepted_and_a_conflicting_one_refused():
    assert len(meta_inf.table([*rows(), (CHIP, NET, CHAT, "a", 2.001)], "ab")) == 1
    with pytest.raises(ValueError, match="one value of 'a'"):
        meta_inf.table([*rows(), (CHIP, NET, CHAT, "a", 3.0)], "ab")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: meta_inf.table(rows((2.0, math.nan)), "ab"), "seconds"),
        (lambda: meta_inf.table(rows((2.0, 0.0)), "ab"), "seconds"),
        (lambda: meta_inf.table(rows((2.0, -1.0)), "ab"), "seconds"),
        (lambda: meta_inf.table(rows(), "ac"), "unknown method"),
        (lambda: meta_inf.table(rows()[:1], "ab"), "lacks it"),
        (lambda: meta_inf.table([], "ab"), "at least one"),
        (lambda: meta_inf.table([*rows(), (dataclasses.replace(CHIP, price=9.0), NET, CHAT, "a",
                                           2.0)], "ab"), "two"),
        (lambda: meta_inf.Device("x", 0.0, 1.0, 1.0), "flops"),
        (lambda: meta_inf.Device("", 1.0, 1.0, 1.0), "name"),
        (lambda: meta_inf.Model("x", 0, 1, 1, 1, 1), "layers"),
        (lambda: meta_inf.Workload("x", 1, 1, 1, 1, prefix_share=1.0), "prefix_share"),
        (lambda: meta_inf.Workload("x", 1, 1, 1, 1, rate=-1.0), "rate"),
        (lambda: meta_inf.model_of(3, "x"), "config"),
        (lambda: meta_inf.simulate_cells([], [NET], [CHAT]), "devices"),
        (lambda: meta_inf.simulate_cells([CHIP], [NET], [3]), "workloads"),
        (lambda: meta_inf.simulate_cells([CHIP], [NET], [CHAT], index=[[1, 0, 0]]), "index"),
        (lambda: meta_inf.simulate_cells([CHIP], [NET], [CHAT], []), "efficiencies"),
        (lambda: meta_inf.simulate_cells([CHIP], [NET], [CHAT], methods={}), "methods"),
        (lambda: meta_inf.draw_world(-1), "seed"),
        (lambda: meta_inf.features(3), "cells"),
        (lambda: meta_inf.log_nominal(3), "cells"),
        (lambda: meta_inf.features(cells(), embed=3), "embed"),
        (lambda: meta_inf.features(cells(), embed=lambda t: [[math.nan]] * len(t)), "embed"),
        (lambda: meta_inf.isac(0), "clusters"),
        (lambda: meta_inf.alors(0), "rank"),
        (lambda: meta_inf.nearest_neighbours(0), "neighbours"),
        (lambda: meta_inf.random_forest(min_leaf=0), "min_leaf"),
        (lambda: meta_inf.gradient_boosting(rounds=0), "rounds"),
        (lambda: meta_inf.ensemble(3), "training"),
        (lambda: list(meta_inf.leave_one_out(cells(), "colour")), "axis"),
        (lambda: list(meta_inf.leave_one_out(meta_inf.table(rows(), "ab"))), "at least two"),
        (lambda: meta_inf.quality(cells(), np.zeros(3)), "scores"),
        (lambda: meta_inf.quality(cells(), np.full(cells().seconds.shape, math.nan)), "scores"),
        (lambda: meta_inf.within_budget(cells(), np.zeros(cells().seconds.shape), [0.0]), "budget"),
        (lambda: meta_inf.fit(cells(), "ISAC"), "predicts seconds"),
        (lambda: meta_inf.fit(cells(), "MetaIn"), "selector"),
        (lambda: meta_inf.measure_cells({CHIP: 1}, {}, [ONLINE]), "arrivals"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Features.


def test_features_do_not_know_the_seconds_and_hashed_texts_are_a_substitute():
    made = cells()
    other = dataclasses.replace(made, seconds=made.seconds[::-1].copy())
    np.testing.assert_array_equal(meta_inf.features(made).values, meta_inf.features(other).values)
    real = meta_inf.features(made, embed=lambda texts: [[float(len(t)), 1.0] for t in texts])
    assert real.values.shape[1] == meta_inf.features(made, hashed=2).values.shape[1]
    assert "device: text 1" in real.names


def test_the_nominal_time_follows_the_spec_sheets_and_explains_the_level():
    made = cells()
    nominal = meta_inf.log_nominal(made)
    slower = dataclasses.replace(made, seconds=made.seconds * 7.0)
    np.testing.assert_array_equal(meta_inf.log_nominal(slower), nominal)
    better = tuple(
        dataclasses.replace(d, flops=2 * d.flops, bandwidth=2 * d.bandwidth) for d in made.devices
    )
    faster = meta_inf.log_nominal(dataclasses.replace(made, devices=better))
    assert (faster < nominal).all()
    level = np.log(made.seconds).mean(axis=1)
    assert (level - nominal).std() < 0.4 * level.std()


def test_one_request_takes_a_prefill_and_its_steps_nominally():
    load = meta_inf.Workload("one", requests=1, batch=1, prompt=10, output=3)
    cell = meta_inf.table([(CHIP, NET, load, "a", 1.0)], "a")
    weights = NET.num_params
    prefill = max(2 * weights * 10 / CHIP.flops, 4 * weights / CHIP.bandwidth) + 4 * 1e-5
    cached = 8 * NET.layers * NET.width * 13
    step = max(2 * weights / CHIP.flops, (4 * weights + cached) / CHIP.bandwidth) + 4 * 1e-5
    np.testing.assert_allclose(np.exp(meta_inf.log_nominal(cell)), prefill + 3 * step, rtol=1e-9)


def test_constant_columns_become_zero_and_other_schemas_are_refused():
    made = meta_inf.features(cells())
    scale = meta_inf.scaler(made)
    constant = np.ptp(made.values, axis=0) == 0
    assert constant.any()
    shifted = dataclasses.replace(made, values=made.values + constant * 7.0)
    scaled = scale(shifted)
    assert (scaled[:, constant] == 0).all()
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scale(made)[:, ~constant].std(axis=0), 1.0, rtol=1e-3)
    with pytest.raises(ValueError, match="version"):
        scale(dataclasses.replace(made, version=99))
    with pytest.raises(ValueError, match="columns"):
        scale(meta_inf.features(cells(), hashed=3))


# Selection.


def test_members_that_are_left_out_are_unseen():
    made = cells()
    for train, test in meta_inf.leave_one_out(made, "model"):
        assert not (train & test).any()
        assert (train | test).all()
        meta_inf.check_unseen(made.rows(train), made.rows(test), "model")
        with pytest.raises(ValueError, match="devices that are not in the training table"):
            meta_inf.check_unseen(made.rows(train), made.rows(test), "device")


def test_simple_selectors_equal_their_definitions():
    made, given = cells(), meta_inf.features(cells())
    logs = np.log(made.seconds)
    train = made.index[:, 0] != 0
    static = meta_inf.SELECTORS["static best"](made.rows(train), given.rows(train), 0)
    want = (logs - logs.mean(axis=1, keepdims=True))[train].mean(axis=0).argmin()
    assert (static(made, given).argmin(axis=1) == want).all()
    oracle = meta_inf.quality(made, meta_inf.SELECTORS["oracle"](made, given, 0)(made, given))
    assert oracle.right.all()
    np.testing.assert_array_equal(oracle.speed, 1.0)
    for name, selector in (
        ("one neighbour", meta_inf.nearest_neighbours(1)),
        ("a cluster for each cell", meta_inf.isac(len(made))),
    ):
        known = selector(made, given, 0)(made, given)
        assert meta_inf.quality(made, known).right.all(), name


@pytest.mark.parametrize("name", ["ALORS", "random forest", "gradient boosting"])
def test_learnt_selectors_know_their_training_cells_better_than_the_static_best(name):
    made, given = cells(), meta_inf.features(cells())
    speeds = {
        n: meta_inf.quality(made, meta_inf.SELECTORS[n](made, given, 0)(made, given)).speed.mean()
        for n in (name, "static best")
    }
    assert speeds[name] > speeds["static best"] + 0.02


def test_isac_agrees_with_asf():
    pytest.importorskip("asf")
    import pandas as pd
    from asf.selectors import ISAC
    from sklearn.cluster import KMeans

    made, given = cells(), meta_inf.features(cells())
    scale = meta_inf.scaler(given)
    x = pd.DataFrame(scale(given))
    y = pd.DataFrame(made.seconds, columns=list(made.methods))
    kwargs = {"n_clusters": 6, "n_init": 1}
    theirs = ISAC(clusterer=KMeans, clusterer_kwargs=kwargs, random_state=0)
    theirs.fit(x, y)
    found = theirs.predict(x)
    picked = [made.methods.index(found[i][0][0]) for i in x.index]
    own = meta_inf.isac(6)(made, given, 0)(made, given).argmin(axis=1)
    agree = np.mean(np.array(picked) == own)  # they take means of seconds, we of logarithms
    assert agree > 0.5
    speed = [meta_inf.quality(made, np.eye(6)[p] * -1.0).speed.mean() for p in (picked, own)]
    assert abs(speed[0] - speed[1]) < 0.1


def test_budgets_are_kept_by_the_predictions_and_infeasible_ones_are_said():
    made = cells()
    logs = np.log(made.seconds)  # exact predictions
    budget = np.sqrt(made.cost.min(axis=1) * made.cost.max(axis=1))
    chosen = meta_inf.quality(made, meta_inf.within_budget(made, logs, budget)).chosen
    assert (made.cost[np.arange(len(made)), chosen] <= budget * (1 + 1e-9)).all()
    small = meta_inf.quality(made, meta_inf.within_budget(made, logs, budget * 1e-6))
    assert (small.chosen == -1).all()
    assert (small.speed == 0).all()
    assert not small.right.any()


TRAINING = meta_inf.Training(
    members=2, hidden=8, steps=40, batch=8, learning_rate=2e-2, weight_decay=1e-2
)
fit_jit = jit_fast_compile(
    functools.partial(meta_inf.fit_ensemble, training=TRAINING), level=0, plain=True
)
predict_jit = jit_fast_compile(meta_inf.predict, level=0, plain=True)


def arrays(made):
    x = meta_inf.features(made).values
    return jnp.asarray(x), jnp.asarray(np.log(made.seconds), jnp.float32)


def test_an_ensemble_learns_and_ignores_units_of_its_features():
    x, y = arrays(cells())
    fitted = fit_jit(jax.random.key(0), x, y)
    found = predict_jit(fitted, x).mean(axis=0)
    scale = y.mean(axis=0)[None]
    assert float(jnp.mean((found - y) ** 2)) < 0.5 * float(jnp.mean((scale - y) ** 2))
    other = predict_jit(fit_jit(jax.random.key(0), 4.0 * x, y), 4.0 * x)
    np.testing.assert_allclose(other.mean(axis=0), found, atol=0.05)


def test_gossip_with_the_mean_of_all_nodes_gives_them_one_network():
    made = cells()
    x, y = arrays(made)
    own = np.array([np.flatnonzero(made.index[:, 0] == d) for d in range(4)])
    rule = gossip.averaging(gossip.mixing(topology.complete(4)))
    run = jit_fast_compile(
        lambda key, x, y: meta_inf.fit_gossip(key, x, y, TRAINING, rule), level=0, plain=True
    )
    fitted = run(jax.random.key(0), x[own], y[own])
    for leaf in jax.tree.leaves(fitted.params):
        np.testing.assert_allclose(leaf, jnp.broadcast_to(leaf[:1], leaf.shape), atol=1e-5)
    assert predict_jit(fitted, x).shape == (4, *y.shape)


def test_choose_gives_a_method_within_the_budget_or_says_that_none_fits():
    made = cells()
    meta = meta_inf.fit(made, "gradient boosting", margin=0.1)
    w = world()
    cell = w.workloads[0], w.models[0], w.devices[0]
    free = meta.choose(*cell)
    assert free.feasible
    assert free.method == min(free.seconds, key=lambda m: free.seconds[m])
    budget = 1.001 * min(free.cost.values())
    tight = meta.choose(*cell, budget=budget)
    assert tight.method is not None
    assert tight.cost[tight.method] <= budget
    none = meta.choose(*cell, budget=0.9 * min(free.cost.values()))
    assert (none.method, none.feasible) == (None, False)
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="budget"):
            meta.choose(*cell, budget=wrong)
    with pytest.raises(ValueError, match="device"):
        meta.choose(cell[0], cell[1], "chip")


# Measured cells.


def test_measured_cells_are_resumed_from_their_file(tmp_path):
    configs = {"tiny": transformer.Config(8, width=8, num_layers=1)}
    load = meta_inf.Workload("w", 2, 2, 3, 2, 0.0, 0.5)
    methods = {"KV cache": serving.Acceleration()}
    file = tmp_path / "m.jsonl"
    devices = {CHIP: 1, FAST: 2}
    made = meta_inf.measure_cells(devices, configs, [load], methods, path=file, repeats=1)
    assert made.seconds.shape == (2, 1)
    assert made.source["jax"] == jax.__version__
    with file.open("a") as torn:
        torn.write('{"cell": ["chip", "ti')
    again = meta_inf.measure_cells(devices, configs, [load], methods, path=file, repeats=1)
    np.testing.assert_array_equal(again.seconds, made.seconds)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps({"jax": "0"}), *lines[1:]]))
    with pytest.raises(ValueError, match="path"):
        meta_inf.measure_cells(devices, configs, [load], methods, path=file, repeats=1)
