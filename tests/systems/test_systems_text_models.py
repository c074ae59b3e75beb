"""Trained models behind the OpenAI protocol as judges, as sources of packets, and as workers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, coordination, language
from jaxswarm.data import verifiable
from jaxswarm.errors import ReplayError
from jaxswarm.models import transformer
from jaxswarm.systems import fortytwo, sapo, scaling_agents
from jaxswarm.trust import ranking
from tests import language_server as world

KEY = jax.random.key(0)
QUESTION = "37="


@pytest.fixture(scope="module")
def endpoints():
    """Two trained models that sample alike, and one without training, each behind a server."""
    with (
        world.serve(world.trained(), "trained") as good,
        world.serve(world.untrained(), "untrained") as bad,
        language.openai_compatible(good.base_url, "trained", temperature=0.0) as first,
        language.openai_compatible(good.base_url, "trained", temperature=0.3, seed=1) as second,
        language.openai_compatible(bad.base_url, "untrained", temperature=0.0) as third,
    ):
        yield first, second, third


def read_answer(text):
    return text if len(text) == 1 and text.isdigit() else None


def verdict(text):
    return {"A": ranking.FIRST, "B": ranking.SECOND}.get(text[-1:], ranking.ABSTAIN)


def ask(question, nodes, **options):
    return fortytwo.text_round(
        question,
        nodes,
        read_answer=read_answer,
        judge_prompt=world.judge_prompt,
        verdict=verdict,
        **({"per_node": 4} | options),
    )


@pytest.mark.slow
def test_models_answer_and_judge_one_another_in_both_orders(endpoints):
    first, second, _ = endpoints

    def wrong(prompts):  # always names the smaller digit, and prefers what is shown first
        return ["A" if "?" in prompt else min(prompt[:2]) for prompt in prompts]

    nodes = [wrong, first, wrong, second]
    before = first.usage().prompt_tokens
    rounds = [ask(question, nodes) for question in ("37=", "82=")]
    assert [found.consensus.answer for found in rounds] == ["7", "8"]  # two against two
    judged = np.stack([found.round.verdicts for found in rounds])
    assert (judged[:, [0, 2]].sum(-1) == 0).all()  # position bias cancels over both orders
    for found in rounds:
        classes = found.round.classes
        assert classes.tolist() == [0, 1, 0, 1]
        differ = classes[found.round.first] != classes[found.round.second]
        best = np.where(classes[found.round.first] == 1, 1, -1)[..., None]
        right = (found.round.verdicts == best)[[1, 3]][differ[[1, 3]]]
        assert right.mean() > 0.8
        texts = [text for pair in found.rationales[1] for text in pair]
        assert all(text and text[-1] in "AB" and len(text) > 1 for text in texts)  # a reason first
    assert first.usage().prompt_tokens == before + 2 * (3 + 8 * 7)
    stacked = jax.tree.map(lambda *x: np.stack(x), *(found.round for found in rounds))
    info = jax.jit(fortytwo.consensus_rounds)(stacked, np.full(4, 0.5, np.float32))
    assert info.reputation[-1, 1] > info.reputation[-1, 0]


def test_failures_and_unreadable_texts_abstain(endpoints):
    first, _, third = endpoints

    def broken(prompts):
        return [None] * len(prompts)

    found = ask(QUESTION, [first, broken, third, first])
    assert (found.replies[1], found.answers[1]) == (None, None)
    touches = (found.round.first == 1) | (found.round.second == 1)
    assert (found.round.verdicts[touches] == ranking.ABSTAIN).all()
    assert (found.round.verdicts[1] == ranking.ABSTAIN).all()
    assert found.consensus.answer == "7"
    assert fortytwo.read_verdict("Verdict: A, no: **Verdict:** B") == ranking.SECOND
    assert "37=" in fortytwo.judge_text("37=", "7", "3")
    for change, message in (
        ({"nodes": [first]}, "nodes: expected at least two"),
        ({"nodes": [first, 3]}, "nodes: expected a function"),
        ({"nodes": [first, lambda prompts: []]}, "nodes: expected 1 texts"),
        ({"question": 3}, "question: expected"),
        ({"verdict": lambda text: 5, "nodes": [first, first]}, "verdict: expected"),
        ({"read_answer": 3}, "read_answer: expected"),
        ({"nodes": [broken, broken]}, "replies: expected at least one"),
    ):
        options = {"question": QUESTION, "nodes": [first] * 2, "read_answer": read_answer}
        options["judge_prompt"] = world.judge_prompt
        with pytest.raises(ValueError, match=message):
            fortytwo.text_round(**(options | change))


NEWLINE = world.TOKENIZER.token("\n")
MODEL = transformer.from_config(
    transformer.Config(world.TOKENIZER.vocab_size, width=8, num_layers=1)
)


def problems(questions, shape):
    items = [verifiable.Item(q, world.larger(q), world.larger(q)) for q in questions]
    arrays = verifiable.to_arrays(items, world.TOKENIZER)
    return jax.tree.map(lambda x: np.asarray(x).reshape(*shape, *x.shape[1:]), arrays)


@pytest.mark.slow
def test_texts_become_packets_that_agents_learn_from(endpoints):
    first = endpoints[0]
    learner = sapo.sapo(
        MODEL,
        optax.sgd(0.1),
        language.exact_match_reward(NEWLINE),
        local=1,
        external=2,
        num_samples=2,
        max_new_tokens=4,
    )
    state = jax.jit(lambda: learner.init(agents.initialize(KEY, MODEL.init, 2)))()
    own = problems(["12=", "34=", "56=", "78="], (2, 2))
    theirs = problems(["21=", "65=", "90=", "43="], (2, 2))

    def half_right(prompts):  # groups with a right and a wrong response are informative
        texts = first(prompts)
        return [text if i % 2 else "5\n0" for i, text in enumerate(texts)]

    def failing(prompts):
        return [None, *first(prompts[1:])]

    arguments = (KEY, learner, state, own, [half_right, failing], theirs, world.TOKENIZER)
    new, info, packets = sapo.round_with_texts(*arguments)
    assert packets.tokens.shape == (2, 2, 2, 4)
    assert packets.well_formed.tolist() == [[True, True], [False, True]]
    reward = language.exact_match_reward(NEWLINE)
    rewards = jax.jit(lambda packets: sapo.verify(packets, reward))(packets)
    assert rewards[0].tolist() == [[0.0, 1.0]] * 2
    assert rewards[1, 1].tolist() == [1.0, 1.0]
    assert info.external.tolist() == [2.0, 2.0]  # both informative groups, by both agents
    assert info.traffic.messages.tolist() == [1.0, 1.0]

    @jax.jit
    def margin(params):
        shown = jax.tree.map(lambda x: x[0], packets)
        rollouts = language.Rollouts(*shown[:2], shown.tokens, shown.mask, jnp.zeros((2, 2)))
        own = jax.tree.map(lambda x: x[0], params)
        found = language.rollout_log_probs(MODEL, own, rollouts)
        right = (found * shown.mask).sum(-1)
        return right[:, 1] - right[:, 0]

    assert margin(new.params).mean() > margin(state.params).mean()  # right against wrong
    sapo.check_packets(
        jax.tree.map(lambda x: x[0], packets), vocab_size=world.TOKENIZER.vocab_size, num_samples=2
    )


def test_packets_of_texts_refuse_and_leave_out():
    asked = problems(["12=", "34="], (2,))
    make = lambda responses, **o: sapo.text_packets(  # noqa: E731
        asked, responses, world.TOKENIZER, **({"max_new_tokens": 3} | o)
    )
    found = make([["2", "12"], ["4", "123"]])
    assert found.well_formed.tolist() == [True, False]  # too long with its end token
    assert make([["2", "é"], ["4", ""]]).well_formed.tolist() == [False, False]
    for responses in ("ab", [["1", "2"]], [["1"], ["2"]], [["1", "2"], ["1"]], ["12", "34"], 3):
        with pytest.raises(ValueError, match="responses: expected"):
            make(responses)
    with pytest.raises(ValueError, match="responses: expected"):
        make([["1", 2], ["1", "2"]])
    with pytest.raises(ValueError, match="max_new_tokens: expected"):
        make([["1", "2"]] * 2, max_new_tokens=0)
    with pytest.raises(ValueError, match="problems: expected"):
        sapo.text_packets("x", [], world.TOKENIZER, max_new_tokens=3)


def calls(count, workers):
    return coordination.Request(
        worker=jnp.asarray(workers),
        entity=jnp.arange(count),
        event=jnp.zeros(count, jnp.int32),
        demand=jnp.ones((count, 1)),
        context=jnp.zeros(count),
        truth=jnp.asarray([int(world.larger(world.QUESTIONS[i])) for i in range(count)]),
        active=jnp.ones(count, bool),
    )


def prompt(call):
    return world.QUESTIONS[call["entity"]]


def read(text, call):
    return int(text) if text.isdigit() else None


def test_a_backend_answers_inside_a_jitted_program_and_from_its_tape(endpoints, tmp_path):
    first, _, third = endpoints
    path = tmp_path / "calls.jsonl"
    request = calls(4, [0, 1, 0, 0])

    def run(mode, request=request):
        tape = language.Tape(path, mode)
        with (
            language.openai_compatible(
                first.base_url, "trained", temperature=0.0, tape=tape
            ) as one,
            language.openai_compatible(third.base_url, "untrained", tape=tape) as two,
        ):
            ask = language.worker_calls([one, two], prompt, read)
            backend = coordination.host_backend(ask, 2, num_answers=10, max_concurrency=3)

            @jax.jit
            def program(state, request):
                def one(state, event):
                    return backend.answer(KEY, state, request._replace(event=event))

                return jax.lax.scan(one, state, jnp.zeros((2, 4), int) + jnp.arange(2)[:, None])

            return jax.device_get(program(backend.init(), request)[1])

    recorded = run("record")
    right = np.asarray([0, 2, 3])
    assert (recorded.answer[:, right] == np.asarray(request.truth)[right]).all()
    assert (recorded.tokens_in[:, right] == 3).all()
    assert (recorded.latency[:, right] > 0).all()
    assert len(path.read_text().splitlines()) == 8
    again = run("replay")
    assert all((a == b).all() for a, b in zip(recorded, again, strict=True))
    moved = request._replace(worker=jnp.ones(4, jnp.int32))
    with pytest.raises(jax.errors.JaxRuntimeError, match="differs from the recorded"):
        run("replay", moved)


def test_masks_failures_and_recordings_of_a_backend():
    asked = []

    def ask(call):
        asked.append(call["entity"])
        if call["entity"] == 2:
            raise RuntimeError("down")
        return {"answer": call["entity"], "latency": 5.0}

    recording = coordination.Recording()
    backend = coordination.host_backend(ask, 3, num_answers=9, recording=recording)
    request = calls(5, [0, 1, 0, 2, 0])._replace(active=jnp.arange(5) < 4)
    state = backend.init()._replace(alive=jnp.asarray([True, False, True]))
    _, reply = jax.jit(backend.answer)(KEY, state, request)
    ok, empty, failed = (coordination.STATUSES.index(x) for x in ("ok", "empty", "failed"))
    assert reply.status.tolist() == [ok, failed, failed, ok, empty]
    assert reply.answer.tolist() == [0, -1, -1, 3, -1]
    assert asked == [0, 2, 3]
    twin = coordination.host_backend(None, 3, num_answers=9, recording=recording)
    replayed = twin.answer(KEY, state, request)[1]
    assert all((a == b).all() for a, b in zip(reply, replayed, strict=True))
    with pytest.raises(ReplayError, match="not recorded"):
        recording.replay((0, 8, 8))
    batched = jax.tree.map(lambda x: jnp.stack([x, x]), request)
    states = jax.tree.map(lambda x: jnp.stack([x, x]), state)
    _, many = jax.vmap(twin.answer, (None, 0, 0))(KEY, states, batched)
    assert many.answer.tolist() == [reply.answer.tolist()] * 2


def test_a_language_model_does_the_subtasks_of_a_team(endpoints):
    graph = coordination.layered_task(depth=2, width=1, num_skills=1)
    right = [int(world.larger(question)) for question in world.QUESTIONS[:2]]
    ask = language.worker_calls(
        endpoints[0], lambda call: world.QUESTIONS[call["event"] // 4], read
    )
    backend = coordination.host_backend(ask, 2, num_answers=10)
    single = (graph, scaling_agents.architecture("single", 1), scaling_agents.team(1), 1.0)

    @jax.jit
    def run(key, truths):
        return scaling_agents.run_task(key, *single, backend=backend, truths=truths).right

    assert run(KEY, jnp.asarray(right)).tolist() == [True, True]
    assert run(KEY, jnp.asarray(right) + 1).tolist() == [False, False]
    with pytest.raises(ValueError, match="truths: expected"):
        scaling_agents.run_task(KEY, *single, backend=backend)
    with pytest.raises(ValueError, match="backend: expected"):
        scaling_agents.run_task(KEY, *single, truths=right)
