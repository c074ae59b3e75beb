"""Scaling of agent teams: laws of the engine, a trace by hand, measures, predictor."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents
from jaxswarm.coordination import layered_task, task_graph
from jaxswarm.systems import scaling_agents as sa
from tests.tracing import Counted

POOL = sa.team(5)
CHAIN = layered_task(5, 1, 1, capacity=8)
WIDE = layered_task(1, 8, 1)
TEAMS = {name: sa.architecture(name, 1 if name == "single" else 3) for name in sa.ARCHITECTURES}
STACKED = jax.tree.map(lambda *x: jnp.array(x), *TEAMS.values())
PLENTY = sa.Costs(budget=1e6)
RUN = Counted(
    lambda key, graph, arch, ability, costs, observability, task: sa.run_task(
        key, graph, arch, POOL, ability, observability=observability, costs=costs, task=task
    )
)


def run(name, graph=CHAIN, ability=0.8, costs=PLENTY, observability=0.2, task=0, seed=0):
    key = jax.random.key(seed)
    return RUN(key, graph, TEAMS[name], ability, costs, observability, task)


@jax.jit
def run_all(graph, ability, costs):
    """Every architecture on 400 tasks; compiled once, as both graphs have one shape."""

    def run(arch, task):
        key = jax.random.key(1)
        return sa.run_task(
            key, graph, arch, POOL, ability, costs=costs, observability=0.2, task=task
        )

    return jax.vmap(jax.vmap(run, (None, 0)), (0, None))(STACKED, jnp.arange(400))


@pytest.mark.parametrize(
    "graph",
    [pytest.param(CHAIN, id="chain"), pytest.param(WIDE, id="wide")],
)
@pytest.mark.slow
def test_workers_without_errors_solve_all_if_results_are_sent_and_no_budget_is_exceeded(graph):
    lossless = PLENTY._replace(state=0.0)
    for name in sa.ARCHITECTURES:
        trace = run(name, graph, ability=1.0, costs=lossless)
        assert bool(trace.done[: int(graph.mask.sum())].all())
        sent = name != "divided" or graph is WIDE
        assert (float(trace.score) == 1.0) == sent
        assert not trace.own_error.any()
    for budget in (50.0, 400.0, 900.0):
        traces = run_all(graph, 0.7, sa.Costs(budget=budget))
        assert (np.asarray(traces.tokens) <= budget * int(graph.mask.sum()) + 1e-3).all()
    nothing = run("hybrid", graph, costs=sa.Costs(budget=10.0))
    assert float(nothing.turns) == 0
    assert float(nothing.score) == 0


@pytest.mark.slow
def test_turns_and_messages_are_those_of_the_organisation():
    m = 5
    for name, answers_and_checks, messages in (
        ("single", 2, 0),
        ("divided", 2, 0),
        ("centralized", 2, 1),
        ("decentralized", 3, 2),
        ("hybrid", 3, 1),
    ):
        trace = run(name, ability=1.0)
        relays = m if name in ("centralized", "hybrid") else 0
        assert float(trace.turns) == answers_and_checks * m + relays
        links = {"centralized": m - 1, "hybrid": 2 * (m - 1)}.get(name, 0)
        assert float(trace.messages) == messages * m + links


def by_hand(name, seed, task, ability):
    """A chain of equal workers with plenty of tokens, from the random numbers alone."""
    trace = run(name, ability=ability, seed=seed, task=task)
    right = True
    for i in range(5):
        lost, own_error = bool(trace.lost[i]), bool(trace.own_error[i])
        if name in ("single",):
            assert not lost
        right = right and not lost and not own_error
        if name == "single":
            assert bool(trace.right[i]) == right
        else:
            assert not bool(trace.right[i]) or not (lost or own_error)
    return trace


@pytest.mark.slow
def test_a_value_is_right_only_if_its_parents_and_its_own_answer_are():
    for seed in range(4):
        for name in sa.ARCHITECTURES:
            trace = by_hand(name, seed, seed + 3, 0.7)
            right = np.asarray(trace.right)[:5]
            assert (np.diff(right.astype(int)) <= 0).all()
            assert float(trace.score) == right[-1]


@pytest.mark.slow
def test_single_agent_scores_what_probability_says():
    ability, tasks = 0.8, 4_000
    no_checks = PLENTY._replace(blind=1.0, false_alarm=0.0)

    def run_single(task):
        return sa.run_task(
            jax.random.key(2), CHAIN, TEAMS["single"], POOL, ability, costs=no_checks, task=task
        )

    traces = jax.jit(jax.vmap(run_single))(jnp.arange(tasks))
    for i in range(5):
        expected = ability ** (i + 1)
        error = 4 * np.sqrt(expected * (1 - expected) / tasks)
        assert float(traces.right[:, i].mean()) == pytest.approx(expected, abs=error)


@pytest.mark.slow
def test_checks_correct_errors_and_all_architectures_use_the_same_random_numbers():
    traces = run_all(WIDE, 0.7, PLENTY)
    wrong = np.asarray(traces.own_error)[..., :8].mean(axis=(1, 2))
    by = dict(zip(sa.ARCHITECTURES, wrong, strict=True))
    np.testing.assert_allclose(by["single"], by["divided"])  # equal without messages
    assert by["centralized"] < by["decentralized"] < by["single"]
    corrected = np.asarray(traces.corrected).sum(axis=(1, 2))
    assert (corrected > 0).all()


@pytest.mark.slow
def test_what_can_be_observed_needs_no_message():
    hidden = [float(run("divided", observability=0.0, task=t, ability=1.0).score) for t in range(8)]
    shown = [float(run("divided", observability=1.0, task=t, ability=1.0).score) for t in range(8)]
    assert max(hidden) == 0.0
    assert min(shown) == 1.0


@pytest.mark.slow
def test_a_stacked_architecture_is_the_architecture_and_compiles_once():
    traces = run_all(CHAIN, 0.8, PLENTY)
    for i, name in enumerate(sa.ARCHITECTURES):
        alone = run(name, ability=0.8, task=2, seed=1)
        got = jax.tree.map(lambda x, i=i: x[i, 2], traces)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, alone)
    before = RUN.traces
    run("hybrid", ability=0.3)
    assert RUN.traces == before


@pytest.mark.slow
def test_a_run_outside_jit_equals_the_jitted_one():
    eager = sa.run_task(
        jax.random.key(1), CHAIN, TEAMS["hybrid"], POOL, 0.8, costs=PLENTY, observability=0.2,
        task=2,
    )  # fmt: skip
    jitted = run("hybrid", ability=0.8, task=2, seed=1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), eager, jitted)


@pytest.mark.slow
def test_independent_attempts_are_single_agents_and_a_vote_compares_them():
    """At ability 1 all are right; else an attempt is as often right as a single agent."""
    single = sa.architecture("single", 1)

    @jax.jit
    def runs(ability, costs):
        def one(task):
            key = jax.random.key(3)
            team = [
                sa.run_independent(key, CHAIN, 3, POOL, ability, vote=vote, costs=costs, task=task)
                for vote in (False, True)
            ]
            return *team, sa.run_task(key, CHAIN, single, POOL, ability, costs=costs, task=task)

        return jax.vmap(one)(jnp.arange(400))

    taken, voted, _ = runs(1.0, PLENTY)
    assert (np.asarray(taken.score) == 1.0).all()
    assert (np.asarray(taken.turns) == 3 * 10 + 1).all()
    assert (np.asarray(voted.messages) == 3).all()
    poor, _, _ = runs(1.0, PLENTY._replace(budget=20.0))  # less than an aggregation costs
    assert not np.asarray(poor.score).any()
    scarce, _, _ = runs(0.7, PLENTY._replace(budget=1400.0))
    assert (np.asarray(scarce.tokens) <= 1400 * 5 + 1e-2).all()
    taken, voted, alone = (float(trace.score.mean()) for trace in runs(0.8, PLENTY))
    assert abs(taken - alone) < 0.08  # two standard errors of a difference of 400 tasks
    assert voted > taken


@pytest.mark.slow
def test_rounds_of_review_correct_more_and_stop_when_an_answer_is_accepted():
    @jax.jit
    def runs(arch, ability):
        def one(task):
            return sa.run_task(
                jax.random.key(4), WIDE, arch, POOL, ability, costs=PLENTY, task=task
            )

        return jax.vmap(one)(jnp.arange(400))

    once, thrice = (
        jax.tree.map(jnp.asarray, sa.architecture("centralized", 3, rounds=rounds))
        for rounds in (1, 3)
    )
    few, many = runs(once, 0.6), runs(thrice, 0.6)
    assert many.score.mean() > few.score.mean() + 0.02
    assert many.turns.mean() > few.turns.mean()
    np.testing.assert_array_equal(runs(thrice, 1.0).turns, runs(once, 1.0).turns)


def test_measures_of_traces_made_by_hand():
    def trace(score, turns, messages, own_error, lost, holds):
        flags = jnp.zeros(3, bool)
        return sa.Trace(
            flags, jnp.ones(3, bool), jnp.array(own_error), jnp.array(lost), flags, jnp.float32(0),
            jnp.float32(turns), jnp.float32(messages), jnp.array(holds, bool), jnp.float32(score),
        )  # fmt: skip

    none = [False] * 3
    single = trace(0.5, 4.0, 0.0, none, none, [[1, 1, 1], [0, 0, 0]])
    other = trace(0.75, 10.0, 5.0, [True, False, True], [True, True, False], [[1, 1, 0], [0, 1, 1]])
    found = sa.measures(other, single)
    assert float(found.overhead) == pytest.approx(1.5)
    assert float(found.density) == pytest.approx(0.5)
    assert float(found.redundancy) == pytest.approx(0.5)
    assert float(found.efficiency) == pytest.approx(0.3)
    assert float(found.amplification) == pytest.approx(0.5)
    assert float(found.unrecovered) == 3
    assert float(sa.measures(single, single).redundancy) == pytest.approx(0, abs=1e-6)
    assert np.isnan(sa.measures(other, single._replace(score=jnp.float32(1.0))).amplification)


def columns(rng, rows=200):
    names = ("ability", "tools", "agents", "overhead", "density", "redundancy", "efficiency",
             "amplification", "single")  # fmt: skip
    return {name: rng.uniform(0.1, 3.0, rows) for name in names}


def test_the_fit_is_ridge_regression_and_leaves_groups_out():
    rng = np.random.default_rng(0)
    table = sa.design(**columns(rng))
    assert table.shape == (200, len(sa.COLUMNS))
    y = table @ rng.normal(size=20) + 0.1 * rng.normal(size=200)
    found = sa.fit(table, y, ridge=0.0)
    theirs = table @ np.linalg.lstsq(table, y, rcond=None)[0]
    np.testing.assert_allclose(sa.predict(found, table), theirs, atol=0.02 * np.abs(theirs).max())
    groups = np.repeat(np.arange(4), 50)
    checked = sa.cross_validated(table, y, groups)
    out = groups == 2
    alone = sa.predict(sa.fit(table[~out], y[~out]), table[out])
    np.testing.assert_allclose(checked["predicted"][out], alone, rtol=1e-5)
    assert 0.9 < checked["r2"] <= 1.0


def test_the_selection_does_not_use_what_is_held_out():
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 2))])
    y = np.column_stack([x[:, 1], -x[:, 1], 0.1 * x[:, 2]])
    train = np.arange(60) < 40
    chosen, predicted = sa.select(x, y, train)
    assert (chosen[~train] == y[~train].argmax(axis=1)).mean() > 0.9
    spoiled = np.where(train[:, None], y, 1e6)
    again, same = sa.select(x, spoiled, train)
    np.testing.assert_array_equal(chosen, again)
    np.testing.assert_array_equal(predicted, same)


@pytest.mark.slow
def test_traces_are_finite_for_any_ability():
    for ability in (0.0, 0.5, 1.0):
        traces = run_all(WIDE, ability, sa.Costs())
        assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(traces))
    assert agents.num_agents(STACKED) == len(sa.ARCHITECTURES)


RNG = np.random.default_rng(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sa.architecture("swarm", 3), "architecture"),
        (lambda: sa.architecture("single", 3), "expected 1 for a single agent, got 3"),
        (lambda: sa.architecture("hybrid", 3, rounds=4), r"rounds: expected a whole .* got 4"),
        (lambda: sa.run_independent(jax.random.key(0), CHAIN, 1, POOL, 0.5), "members"),
        (lambda: sa.run_independent(jax.random.key(0), CHAIN, 6, POOL, 0.5), "members"),
        (lambda: sa.architecture("hybrid", 1), "expected at least 2 for hybrid, got 1"),
        (
            lambda: sa.architecture("single", 0),
            "members: expected a whole number of at least 1, got 0",
        ),
        (
            lambda: sa.architecture("hybrid", 3, peers=3),
            r"peers: expected a whole number in \[0, 2\], got 3",
        ),
        (lambda: run_with(ability=1.5), "ability: expected a finite number in"),
        (lambda: run_with(costs=sa.Costs(budget=0.0)), "budget: expected a finite number > 0"),
        (lambda: run_with(costs=sa.Costs(blind=2.0)), "blind: expected a finite number in"),
        (lambda: run_with(arch=sa.architecture("hybrid", 6)), "members: expected whole numbers in"),
        (lambda: sa.team(0), "size: expected a whole number of at least 1"),
        (lambda: task_graph(np.ones((2, 1)), [(0, 1), (1, 0)]), "no cycle"),
        (lambda: sa.design(**(columns(RNG) | {"tools": np.zeros(200)})), r"log\(1\+T\)"),
        (lambda: sa.design(**(columns(RNG) | {"single": np.full(200, np.nan)})), "single"),
        (lambda: sa.fit(np.ones((3, 2)), np.ones(4)), "performance: expected shape"),
        (lambda: sa.cross_validated(np.ones((3, 2)), np.ones(3), np.zeros(3, int)), "at least two"),
        (lambda: sa.select(np.ones((3, 2)), np.ones((3, 2)), np.ones(3, bool)), "held out"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def run_with(arch=TEAMS["hybrid"], ability=0.5, **change):
    return sa.run_task(jax.random.key(0), CHAIN, arch, POOL, ability, **change)
