"""HAMLET: laws of performances, controllers without power over facts, plug-in actors, refusals."""

import functools
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import coordination, language, network
from jaxswarm.envs import theatre
from jaxswarm.systems import hamlet
from tests import language_server as served

N, T = 2, 16


@functools.cache
def world():
    stage = theatre.default_stage(N, 2, 1, 1)
    plays = hamlet.stage_plays(0, stage, 3, points=2, facts=2).blueprints
    return stage, hamlet.production(stage), plays


@functools.cache
def performance():
    """One compiled program for all settings, modes and faults."""
    _, production, plays = world()

    def run(key, play, given, mode, alive, disrupted):
        def decide(key, perceived):
            return jnp.tile(jnp.stack([mode, jnp.int32(0)])[None], (N, 1))

        return hamlet.perform(
            key, production, plays, decide, play=play, given=given, time_limit=T, alive=alive,
            disrupted=disrupted,
        )  # fmt: skip

    return jax.jit(run)


def perform(seed=0, play=0, mode="slow", alive=None, disrupted=None, **changes):
    full = np.ones((T, N), bool)
    summary, trace = performance()(
        jax.random.key(seed), np.int32(play), hamlet.settings(N, **changes),
        np.int32(hamlet.MODES.index(mode)), full if alive is None else alive,
        ~full if disrupted is None else disrupted,
    )  # fmt: skip
    return jax.tree.map(np.asarray, (summary, trace))


ARMS = [
    {}, {"mode": "fast"}, {"roles": ["random", "own policy"]}, {"reach": theatre.NONE},
    {"roles": ["directed"] * 2},
]  # fmt: skip


@pytest.mark.slow
def test_an_independent_audit_finds_no_violation_and_finds_planted_ones():
    stage, _, plays = world()
    acts = 0
    for number, arm in enumerate(ARMS):
        for seed in range(3):
            _, trace = perform(seed, (seed + number) % 3, **arm)
            found = hamlet.audit(stage, plays, trace)
            assert found.violations == 0, (arm, found)
            acts += found.acts
    assert acts > 50
    facts = trace.states.facts.copy()
    facts[1, stage.at[0]] = ~facts[1, stage.at[0]]
    planted = trace._replace(states=trace.states._replace(facts=facts))
    assert hamlet.audit(stage, plays, planted).violations > 0
    infos = trace.infos._replace(succeeded=~trace.infos.succeeded)
    assert hamlet.audit(stage, plays, trace._replace(infos=infos)).violations > 0


def test_mute_actors_are_prompted_and_nothing_changes():
    summary, trace = perform(roles=["mute"] * 2, threshold=3.0, period=3.0)
    assert summary.prompts > 2
    assert summary.points == 0
    assert (trace.states.facts == trace.states.facts[0]).all()
    assert (trace.states.beliefs == trace.states.beliefs[0]).all()


def test_prompts_come_after_the_threshold_and_then_once_a_period():
    _, trace = perform(roles=["mute"] * 2, threshold=4.0, period=2.0)
    moments = np.flatnonzero((trace.infos.prompt > 0).any(axis=1))  # a silent moment is a second
    assert moments.tolist() == list(range(3, T, 2))


def test_without_the_advancer_there_are_no_prompts_and_prompts_are_beats_of_the_planner():
    silent, _ = perform(roles=["mute"] * 2, threshold=3.0, advancer=False)
    assert silent.prompts == 0
    _, trace = perform(roles=["mute"] * 2, threshold=3.0, period=3.0)
    t, i = np.nonzero(trace.infos.prompt)
    act = trace.infos.prompt[t, i] - 1
    assert trace.states.helpful[np.minimum(t + 1, T - 1), i, act].all()
    assert (np.bincount(t) <= 1).all()  # one actor at a time


def test_directed_actors_complete_the_plays():
    done = [perform(seed, seed % 3, roles=["directed"] * 2)[0].complete for seed in range(3)]
    assert np.mean(done) == 1.0


def test_points_never_go_back_and_nothing_happens_after_the_end():
    _, trace = perform(1, roles=["directed"] * 2)
    assert (np.diff(trace.states.point) >= 0).all()
    after = ~trace.infos.running
    assert after.any()
    assert not trace.infos.attempted[after].any()
    assert (trace.infos.reward[after] == 0).all()
    assert (trace.infos.latency[after] == 0).all()


def test_absent_actors_neither_act_nor_perceive():
    plan = network.fault_plan([(0, "crash", 1), (8, "recover", 1)], N)
    alive = np.asarray(coordination.availability(plan, T).alive)
    _, trace = perform(mode="fast", alive=alive)
    gone = ~alive[:, 1]
    assert gone.any()
    assert not trace.infos.attempted[gone, 1].any()
    beliefs = trace.states.beliefs[: gone.sum() + 1, 1]
    assert (beliefs == beliefs[0]).all()


def test_disrupted_moments_are_acts_by_chance_and_others_are_not():
    _, calm = perform(mode="silence")
    assert not calm.infos.attempted.any()
    disrupted = np.zeros((T, N), bool)
    disrupted[:5, 0] = True
    _, trace = perform(mode="silence", disrupted=disrupted, advancer=False)
    assert trace.infos.attempted[:5, 0].any()
    assert not trace.infos.attempted[5:].any()


def test_modes_that_are_not_allowed_become_the_quickest_that_acts():
    _, trace = perform(mode="silence", modes=["slow"])
    running = trace.infos.running & trace.present.all(axis=1)
    assert (trace.infos.latency[running] > 0).all()


def test_one_compilation_serves_all_settings():
    perform()
    before = performance()._cache_size()
    perform(threshold=9.0, reach=theatre.ITSELF, noise=0.5)
    assert performance()._cache_size() == before


def test_latency_is_punished_in_steps():
    seconds = np.array([0.0, 1.9, 2.0, 3.9, 4.0, 8.0, 100.0], np.float32)
    found = np.asarray(hamlet.latency_penalty(jnp.asarray(seconds)))
    np.testing.assert_allclose(found, [0, 0, 0.05, 0.05, 0.1, 0.15, 0.15], atol=1e-6)


def test_perception_does_not_depend_on_the_private_goals_of_others_or_on_the_world():
    _, production, plays = world()
    given = hamlet.settings(N)
    _, trace = perform()
    state = jax.tree.map(lambda x: jnp.asarray(x[0]), trace.states)
    see = jax.jit(lambda p, s: hamlet.perceive(production, p, s, given))
    seen = see(plays, state)
    other = plays.private.copy()
    other[:, :, 1] = ~other[:, :, 1]
    assert (see(plays._replace(private=other), state)[0] == seen[0]).all()
    assert (see(plays, state._replace(facts=~state.facts)) == seen).all()
    assert np.isfinite(np.asarray(seen)).all()


ASKED = {}


@functools.cache
def performance_with_backend():
    """One compiled program for all models and humans: they are looked up at each call."""
    stage, production, plays = world()
    backend = coordination.host_backend(
        lambda call: ASKED["ask"](call), N, num_answers=1 + stage.num_acts
    )
    return jax.jit(
        lambda k: hamlet.perform(
            k, production, plays, hamlet.fixed("silence"), time_limit=5, backend=backend,
            outside=np.array([True, False]), given=hamlet.settings(N, advancer=False),
        )
    )  # fmt: skip


def with_backend(ask):
    stage, _, plays = world()
    ASKED["ask"] = ask
    _, trace = performance_with_backend()(jax.random.key(0))
    return stage, plays, jax.tree.map(np.asarray, trace)


def test_a_reply_outside_of_the_verb_table_is_a_failed_act():
    replies = iter([{"answer": 10**6}, {"answer": None}, {}, {"answer": "fly"}, {"answer": -3}])
    calls = []

    def ask(call):
        calls.append(call)
        return next(replies)

    stage, plays, trace = with_backend(ask)
    assert len(calls) == 5
    assert {call["worker"] for call in calls} == {0}
    assert trace.infos.attempted[:, 0].all()
    assert not trace.infos.succeeded.any()
    assert hamlet.audit(stage, plays, trace).violations == 0

    def broken(call):
        raise RuntimeError("no model")

    _, _, trace = with_backend(broken)
    assert trace.infos.attempted[:, 0].all()
    assert not trace.infos.succeeded.any()


def test_a_human_at_the_terminal_plays_one_actor():
    shown = []
    stage = world()[0]
    lines = iter(["1", "nonsense", ""])

    def read(question):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    _, _, trace = with_backend(hamlet.human(stage, read=read, write=shown.append))
    assert trace.infos.acts[:, 0].tolist() == [1, -1, 0, 0, 0]
    assert any("You play Ada" in text and "0: say nothing" in text for text in shown)


@pytest.mark.slow
def test_a_model_behind_the_openai_protocol_plays_one_actor():
    stage = world()[0]
    replies = ["I choose 1.", stage.texts[0][1], "I fly away", "", "99999"]
    served.Faulty.script = [
        json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
        for text in replies
    ]
    served.Faulty.seen = []
    with (
        served.serve(served.untrained(), handler=served.Faulty) as server,
        language.openai_compatible(server.base_url, server.name, max_retries=0) as model,
    ):
        ask = language.worker_calls(
            model,
            lambda call: hamlet.prompt_text(stage, call),
            lambda text, call: hamlet.read_act(stage, text, call),
        )
        _, plays, trace = with_backend(ask)
    assert len(served.Faulty.seen) == 5
    assert trace.infos.acts[:, 0].tolist() == [1, 2, -1, -1, -1]
    assert hamlet.audit(stage, plays, trace).violations == 0


@pytest.mark.slow
def test_stochastic_workers_play_through_the_same_protocol():
    stage, production, plays = world()
    pool = coordination.workers([[1.0]] * N)
    backend = coordination.stochastic_backend(pool, num_answers=1 + stage.num_acts)

    def perfect(key, state, request):  # the pool has one skill, requests describe the play
        return backend.answer(key, state, request._replace(demand=jnp.ones((N, 1))))

    summary, _ = jax.jit(
        lambda k: hamlet.perform(
            k, production, plays, hamlet.fixed("silence"), time_limit=T,
            backend=coordination.AgentBackend(backend.init, perfect), outside=np.ones(N, bool),
        )
    )(jax.random.key(0))  # fmt: skip
    assert float(summary.points) > 0.0


@pytest.mark.slow
def test_scripted_input_plays_a_session_through_the_command_line(monkeypatch, capsys, tmp_path):
    from experiments.harness import cli

    monkeypatch.setattr("sys.stdin", io.StringIO("1\nhello\n\n"))
    args = ["run", "hamlet", "--scale", "smoke", "--play", "--runs", str(tmp_path)]
    assert cli.main(args) == 0
    shown = capsys.readouterr().out
    assert "You play Ada" in shown
    assert "does what cannot be done" in shown


REFUSED = {
    "threshold": (lambda: hamlet.settings(2, threshold=0.0), "threshold"),
    "role": (lambda: hamlet.settings(2, roles=["king", "random"]), "role"),
    "roles": (lambda: hamlet.settings(2, roles=["random"]), "roles"),
    "mode": (lambda: hamlet.settings(2, modes=["slower"]), "mode"),
    "noise": (lambda: hamlet.settings(2, noise=1.5), "noise"),
    "reach": (lambda: hamlet.settings(2, reach=3), "reach"),
    "setting": (lambda: hamlet.settings(2, speed=1), "unknown setting"),
    "seconds": (lambda: hamlet.settings(2, seconds=(1.0, 0.0, 1.0)), "seconds"),
    "settings": (lambda: hamlet.check_settings(3, 2), "settings"),
    "depth": (lambda: hamlet.production(world()[0], slow_depth=0), "slow_depth"),
    "stage": (lambda: hamlet.production(3), "stage"),
    "production": (lambda: hamlet.Rehearsal(3, world()[2]), "production"),
    "plays": (lambda: hamlet.Rehearsal(world()[1], 3), "plays"),
    "start": (
        lambda: hamlet.Rehearsal(world()[1], world()[2]._replace(start=np.ones((3, 2), bool))),
        "start",
    ),
    "fixed": (lambda: hamlet.fixed("loud"), "mode"),
    "goal": (lambda: hamlet.fixed("slow", "common"), "goal"),
    "learned": (lambda: hamlet.learned(3, {}), "network"),
    "key": (lambda: run(key=3), "key"),
    "decide": (lambda: run(decide=3), "decide"),
    "play": (lambda: run(play=7), "play"),
    "time": (lambda: run(time_limit=0), "time_limit"),
    "alive": (lambda: run(alive=np.ones((3, N), bool)), "alive"),
    "disrupted": (lambda: run(disrupted=np.ones((3, N), bool)), "disrupted"),
    "outside": (lambda: run(outside=np.ones(N, bool)), "outside"),
    "count": (lambda: hamlet.stage_plays(0, world()[0], 0), "count"),
    "trace": (lambda: hamlet.audit(world()[0], world()[2], 3), "trace"),
    "text": (lambda: hamlet.read_act(world()[0], 3, {"worker": 0}), "text"),
    "read": (lambda: hamlet.human(world()[0], read=3), "read"),
}


def run(key=None, decide=None, **options):
    key = jax.random.key(0) if key is None else key
    decide = hamlet.fixed("slow") if decide is None else decide
    return hamlet.perform(key, world()[1], world()[2], decide, **({"time_limit": 2} | options))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_performed_is_refused(name):
    function, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        function()
