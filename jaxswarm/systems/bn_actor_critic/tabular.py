"""Tabular Bayesian-network policies: exact values, policy gradients and Nash gaps.

Every agent has a softmax for each state and each combination of its parents' actions. Tables have a
row for every *joint* action, of which an agent reads the one in which all but its parents play 0;
so graphs of any density share one shape, and one program sweeps them.

Shapes: ``N`` agents with ``A`` actions, ``S`` states, ``J = A^N`` joint actions, tables
``[N, S, J, A]``.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import CoordinationGame
from jaxswarm.rl.networked import MarkovGame
from jaxswarm.rl.networked.games import require_game
from jaxswarm.systems.bn_actor_critic.graphs import (
    check_dag,
    topological_order,
    zeros_and_ones,
)
from jaxswarm.types import ArrayLike, Key


def coordination_game(num_agents: int, flip: float = 0.1, margin: int | None = None) -> MarkovGame:
    """Make the tables of :class:`jaxswarm.envs.CoordinationGame`, one bit per agent.

    Args:
        num_agents: ``N``, at most 6: the tables have ``8^N`` entries.
        flip: probability in ``[0, 0.5]`` that a bit is not what its agent chose.
        margin: as of the environment.

    Raises:
        ValueError: for a flip out of range, or another number of agents than the paper's without
            a margin.
    """
    checks.real("flip", flip, 0.0, 0.5)
    num_agents = checks.whole("num_agents", num_agents, 1, 6)
    env = CoordinationGame(num_agents, margin=margin)
    bits = np.indices((2,) * num_agents).reshape(num_agents, -1).T  # [J, N], states likewise
    unchanged = bits[:, None, :] == bits[None, :, :]  # [J, S', N]
    probability = np.prod(np.where(unchanged, 1.0 - flip, flip), axis=2)
    ones = bits.sum(axis=1)
    zeros = num_agents - ones
    clear = np.where(zeros > ones, 3.0, 2.0)
    close = np.where(zeros < ones, 1.0, 0.0)
    reward = np.where(np.abs(zeros - ones) <= env.params.margin, close, clear)
    states, joint = len(bits), len(bits)
    return MarkovGame(
        jnp.asarray(np.broadcast_to(probability, (states, joint, states)).copy()),
        jnp.asarray(np.broadcast_to(reward[None, :, None], (num_agents, states, joint)).copy()),
        2,
    )


def table_rows(game: MarkovGame, dag: jax.Array) -> jax.Array:
    """Row of its table that each agent reads given joint action ``j``, ``int32[N, J]``.

    Args:
        game: whose actions are meant.
        dag: ``[N, N]``, may be traced; ``[j, i]`` nonzero where ``j`` is a parent of ``i``.

    Raises:
        ValueError: for a graph of another number of agents.
    """
    require_game(game)
    dag = _checked_dag(dag, game)
    strides = game.num_actions ** np.arange(game.num_agents)[::-1]
    digits = jnp.asarray(game.actions() * strides, jnp.int32)  # [J, N]
    return jnp.einsum("aj,ji->ia", digits, dag.astype(jnp.int32))


def log_joint(tables: jax.Array, game: MarkovGame, dag: jax.Array) -> jax.Array:
    """``log π(a | s)`` of all joint actions, ``[S, J]``.

    Args:
        tables: logits ``[N, S, J, A]``.
        game: whose actions are meant.
        dag: ``[N, N]``, may be traced.

    Raises:
        ValueError: for tables or a graph of another shape.
    """
    _check_tables(tables, game)
    own = jnp.asarray(game.actions().T)  # [N, J]
    rows = table_rows(game, dag)
    log_prob = jax.nn.log_softmax(tables, axis=3)

    def agent(table: jax.Array, row: jax.Array, action: jax.Array) -> jax.Array:
        return table[:, row, action]

    return jnp.sum(jax.vmap(agent)(log_prob, rows, own), axis=0)


def sample_joint_action(
    key: Key, tables: jax.Array, game: MarkovGame, dag: np.ndarray, state: jax.Array
) -> jax.Array:
    """Sample a joint action, parents first, ``int32[N]``.

    Args:
        key: consumed; agent ``i`` draws from ``fold_in(key, i)``.
        tables: ``[N, S, J, A]``.
        game: whose actions are meant.
        dag: ``[N, N]``, known on the host.
        state: ``int32[]``.

    Raises:
        ValueError: if ``dag`` is no acyclic graph of these agents, or tables or state are others.
    """
    checks.key(key)
    _check_tables(tables, game)
    dag = check_dag(dag)
    _checked_dag(dag, game)
    state = checks.index("state", state, game.num_states)
    strides = jnp.asarray(game.num_actions ** np.arange(game.num_agents)[::-1], jnp.int32)
    parents = jnp.asarray(dag, jnp.int32)

    def choose(actions: jax.Array, agent: jax.Array) -> tuple[jax.Array, None]:
        row = jnp.sum(actions * strides * parents[:, agent])
        drawn = jax.random.categorical(jax.random.fold_in(key, agent), tables[agent, state, row])
        return actions.at[agent].set(drawn.astype(jnp.int32)), None

    start = jnp.zeros(game.num_agents, jnp.int32)
    return jax.lax.scan(choose, start, jnp.asarray(topological_order(dag)))[0]


def state_values(policy: jax.Array, game: MarkovGame, discount: ArrayLike) -> jax.Array:
    """Values ``[S]`` of a joint policy ``[S, J]``: discounted sums of the agents' mean reward.

    By one linear solve; differentiable.

    Raises:
        ValueError: for a policy of another shape, or a known discount outside ``[0, 1)``.
    """
    require_game(game)
    checks.real("discount", discount, 0.0, below=1.0)
    shape = (game.num_states, game.transition.shape[1])
    checks.real("policy", policy, shape=shape)
    reward = jnp.sum(policy * jnp.mean(game.reward, axis=0), axis=1)
    transition = jnp.einsum("sj,sjt->st", policy, game.transition)
    return jnp.linalg.solve(jnp.eye(len(transition)) - discount * transition, reward)


def optimal_values(game: MarkovGame, discount: ArrayLike, iterations: int = 1_000) -> jax.Array:
    """Optimal values ``[S]`` by value iteration, with an error of order ``discount^iterations``.

    Raises:
        ValueError: without iterations, or for a known discount outside ``[0, 1)``.
    """
    require_game(game)
    checks.real("discount", discount, 0.0, below=1.0)
    iterations = checks.whole("iterations", iterations, 1)
    reward = jnp.mean(game.reward, axis=0)

    def improve(_: int, value: jax.Array) -> jax.Array:
        return jnp.max(reward + discount * game.transition @ value, axis=1)

    return jax.lax.fori_loop(0, iterations, improve, jnp.zeros(game.num_states, reward.dtype))


def nash_gap(
    tables: jax.Array,
    game: MarkovGame,
    dag: jax.Array,
    discount: ArrayLike,
    iterations: int = 1_000,
) -> jax.Array:
    """Gain in mean value by the best change of one agent's table, for each agent, ``[N]``.

    The others keep their tables and act given the changed actions of their parents. 0 everywhere in
    a Nash equilibrium.

    Args:
        tables: logits ``[N, S, J, A]``.
        game: a small one.
        dag: ``[N, N]``, may be traced.
        discount: in ``[0, 1)``.
        iterations: of value iteration.

    Raises:
        ValueError: for tables or a graph of another shape, a known discount outside ``[0, 1)``, or
            no iterations.
    """
    _check_tables(tables, game)
    checks.real("discount", discount, 0.0, below=1.0)
    iterations = checks.whole("iterations", iterations, 1)
    own = jnp.asarray(game.actions().T)
    rows = table_rows(game, dag)
    log_prob = jax.nn.log_softmax(tables, axis=3)
    reward = jnp.mean(game.reward, axis=0)
    each = jax.vmap(lambda table, row, action: table[:, row, action])(log_prob, rows, own)
    current = state_values(jnp.exp(jnp.sum(each, axis=0)), game, discount)

    def agent(i: jax.Array) -> jax.Array:
        others = jnp.exp(jnp.sum(each, axis=0) - each[i])  # [S, J]
        slot = rows[i] * game.num_actions + own[i]  # entry of the table that is used

        def improve(_: int, value: jax.Array) -> jax.Array:
            q = others * (reward + discount * game.transition @ value)
            shape = (game.num_states, game.transition.shape[1] * game.num_actions)
            sums = jnp.zeros(shape, q.dtype).at[:, slot].add(q)
            sums = sums.reshape(game.num_states, -1, game.num_actions)
            used = jnp.zeros(sums.shape[1], bool).at[rows[i]].set(True)
            return jnp.sum(jnp.where(used[None, :], jnp.max(sums, axis=2), 0.0), axis=1)

        best = jax.lax.fori_loop(0, iterations, improve, current)
        return jnp.mean(best - current)

    return jax.vmap(agent)(jnp.arange(game.num_agents))


class BayesianHyperparameters(NamedTuple):
    """Hyper-parameters of the exact policy gradient, which may be traced.

    Attributes:
        dag: ``[N, N]``, the graph.
        lr: step of gradient ascent.
        discount: ``γ`` in ``[0, 1)``.
    """

    dag: Any
    lr: Any = 0.01
    discount: Any = 0.95


class BayesianInfo(NamedTuple):
    """``value []``: objective before the step, the mean value over states."""

    value: jax.Array


def bayesian_policy_gradient(game: MarkovGame, *, weight: float = 1.0) -> Algorithm:
    """Make exact policy gradient ascent of a tabular joint policy.

    Args:
        game: a cooperative one: the team's reward is the mean over agents.
        weight: of each state in the objective, relative to ``1 / S``. The authors' code weights
            states by ``1 / N``, which is ``S / N`` here and only scales the step.

    Returns:
        ``init(tables) -> tables``, and ``step(key, tables, inputs) -> (tables, info)`` whose inputs
        are :class:`BayesianHyperparameters`.

    Raises:
        ValueError: for a weight that is not positive; in ``init`` for tables of another shape.
    """
    require_game(game)
    checks.real("weight", weight, above=0.0)
    n, s, j = game.num_agents, game.num_states, game.transition.shape[1]
    shape = (n, s, j, game.num_actions)

    def init(tables: jax.Array) -> jax.Array:
        checks.real("tables", tables, shape=shape)
        return jnp.asarray(tables)

    def step(
        key: Key, tables: jax.Array, inputs: BayesianHyperparameters
    ) -> tuple[jax.Array, BayesianInfo]:
        checks.instance("inputs", inputs, BayesianHyperparameters)
        checks.real("lr", inputs.lr, 0.0)
        _check_tables(tables, game)
        del key

        def objective(tables: jax.Array) -> jax.Array:
            policy = jnp.exp(log_joint(tables, game, inputs.dag))
            return jnp.mean(state_values(policy, game, inputs.discount))

        value, grads = jax.value_and_grad(objective)(tables)
        return tables + inputs.lr * weight * grads, BayesianInfo(value)

    return Algorithm(init, step)  # type: ignore[arg-type]


def _check_tables(tables: Any, game: MarkovGame) -> None:
    """Refuse tables of another shape than ``[N, S, J, A]``, or known ones that are not finite."""
    require_game(game)
    joint = game.transition.shape[1]
    shape = (game.num_agents, game.num_states, joint, game.num_actions)
    checks.real("tables", tables, shape=shape)


def _checked_dag(dag: Any, game: MarkovGame) -> jax.Array:
    """The graph as an array, after a check of its shape and, if it is known, its entries."""
    n = game.num_agents
    if not checks.is_traced(dag):
        return jnp.asarray(zeros_and_ones("dag", dag, (n, n)))
    if dag.shape != (n, n):
        raise ValueError(f"dag: expected shape {(n, n)}, got {dag.shape}")
    return dag
