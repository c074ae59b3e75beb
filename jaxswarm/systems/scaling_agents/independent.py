"""Independent teams: every member attempts the whole task, then an aggregator takes one attempt.

References:
    Y. Kim et al., Towards a science of scaling agent systems, 2025.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.coordination import AgentBackend, TaskGraph, Workers
from jaxswarm.systems.scaling_agents.architectures import architecture
from jaxswarm.systems.scaling_agents.engine import play
from jaxswarm.systems.scaling_agents.model import ANSWERS, answered_by, make_model
from jaxswarm.systems.scaling_agents.trace import Costs, Trace, check_numbers
from jaxswarm.types import ArrayLike, Key


def run_independent(
    key: Key,
    graph: TaskGraph,
    members: int,
    pool: Workers,
    ability: float | jax.Array,
    *,
    vote: bool = False,
    rounds: int | jax.Array = 1,
    tools: float | jax.Array = 0.0,
    observability: float | jax.Array = 0.0,
    task: float | jax.Array = 0,
    costs: Costs = Costs(),  # noqa: B008
    backend: AgentBackend | None = None,
    truths: ArrayLike | None = None,
) -> Trace:
    """Run one task ``members`` times, each as a single agent, at the budget of one team.

    An aggregator reads a message of each attempt; what it costs is paid first, the rest is shared
    equally. It does not compare: one attempt, the same for all its subtasks, is taken at random.
    With ``vote`` it takes the attempt that agrees most with the plurality of the last answers.

    Args:
        key: the first attempt uses the random numbers of :func:`run_task` of a single agent.
        graph: the task.
        members: attempts, at least 2.
        pool: of at least ``members + 1`` workers, see :func:`team`; attempt ``a`` is worker ``a``.
        ability: probability in ``[0, 1]`` of a right answer on a whole skill.
        vote: whether attempts are compared.
        rounds: of checks by the worker itself, 1 to 3.
        tools: as in :func:`run_task`, like the following.
        observability: probability in ``[0, 1]``; nothing is lost here, as no state is sent.
        task: ``int32[]``, id of the task.
        costs: tokens and error rates.
        backend: answers the subtasks; attempt ``a`` has ``event = 4 · (a · S + subtask) + answer``.
        truths: ``int32[S]``, right answers of the subtasks, with a backend.

    Returns:
        The trace of the attempt that is taken, with all attempts' tokens, turns and messages.

    Raises:
        ValueError: as :func:`run_task`.

    Example:
        >>> import jax
        >>> from jaxswarm import coordination
        >>> from jaxswarm.systems import scaling_agents
        >>> chain = coordination.layered_task(depth=3, width=1, num_skills=1)
        >>> run = jax.jit(lambda key: scaling_agents.run_independent(
        ...     key, chain, 2, scaling_agents.team(2), ability=1.0))
        >>> trace = run(jax.random.key(0))
        >>> float(trace.score), int(trace.turns)  # twice three answers and checks, one aggregation
        (1.0, 13)
    """
    members = checks.whole("members", members, 2)
    checks.key(key)
    checks.instance("graph", graph, TaskGraph, "coordination.layered_task(3, 2, 1)")
    checks.instance("pool", pool, Workers, "scaling_agents.team(2)")
    checks.wholes("members", members, 2, pool.num_workers - 1, shape=())
    checks.flag("vote", vote)
    single = architecture("single", 1)._replace(rounds=rounds)
    check_numbers(single, pool.num_workers, ability, tools, observability, costs)

    def attempt(a: jax.Array) -> Trace:
        own = jnp.where(a == 0, jax.random.key_data(key), jax.random.key_data(_fold(key, a)))
        run_key = jax.random.wrap_key_data(own, impl=jax.random.key_impl(key))
        model = make_model(run_key, graph, single, pool, ability, tools, observability, task, costs)
        if backend is not None or truths is not None:
            model = answered_by(model, backend, truths)
        aggregation = costs.check + costs.read * costs.message * members
        budget = (model.budget - aggregation) / members
        return play(model._replace(budget=budget, whole=a))

    traces = jax.vmap(attempt)(jnp.arange(members))
    total = (costs.budget + tools * costs.tool_call) * jnp.sum(jnp.asarray(graph.mask))
    aggregation = costs.check + costs.read * costs.message * members
    paid = total >= aggregation
    dice = jax.random.fold_in(jax.random.fold_in(key, task), 0x1E)
    if vote:
        taken = _plurality(dice, graph, traces.right)
    else:
        taken = jax.random.randint(dice, (), 0, members)
    trace = jax.tree.map(lambda leaf: leaf[taken], traces)
    return trace._replace(
        tokens=jnp.sum(traces.tokens) + paid * aggregation,
        turns=jnp.sum(traces.turns) + paid,
        messages=jnp.float32(members) * paid,
        holds=jnp.any(traces.holds, axis=0),
        score=trace.score * paid,
    )


def _fold(key: Key, a: jax.Array) -> Key:
    return jax.random.fold_in(jax.random.fold_in(key, 0x1D), a)


def _plurality(key: Key, graph: TaskGraph, right: jax.Array) -> jax.Array:
    """The attempt ``int32[]`` that agrees most with the plurality, of ``right bool[n, S]``.

    Wrong answers are equally probable among the answers that are not right.
    """
    last = jnp.asarray(graph.mask) & ~jnp.any(jnp.asarray(graph.parents), axis=0)
    wrong = 1 + jax.random.randint(key, right.shape, 0, ANSWERS - 1)
    answers = jnp.where(right, 0, wrong)
    votes = jnp.sum(answers[:, None, :] == answers[None, :, :], axis=1)
    agrees = votes == jnp.max(votes, axis=0, keepdims=True)
    return jnp.argmax(jnp.sum(agrees & last[None, :], axis=1))
