"""AgentConductor: a policy that writes a role graph per task and rewrites it once after a failure.

The policy infers a difficulty from the features of a task, which bounds the number of agents. It
writes a graph; the graph is executed; if the program fails, the policy observes the verdict and
writes a second graph, whose coding and debugging agents read the first program. It is trained by
imitation of random valid graphs (SFT-lite: format, difficulty, repairs) and then by GRPO on whole
trajectories with rewards of the outcome and of the graph's sparsity.

Shapes: ``B`` tasks, ``G`` trajectories of each, ``N`` slots.

References:
    Wang et al., AgentConductor, 2026; Z. Shao et al., DeepSeekMath, 2024 (GRPO).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks, language
from jaxswarm.coordination import AgentBackend
from jaxswarm.systems.agent_conductor._decoder import Decoder, random_graphs, slots_that_count
from jaxswarm.systems.agent_conductor._episode import (
    NUM_PAST,
    Episode,
    finished,
    replay_function,
    two_turns,
)
from jaxswarm.systems.agent_conductor._execution import role_backend
from jaxswarm.systems.agent_conductor._settings import (
    Options,
    Rewards,
    check_bands,
    check_options,
    check_rewards,
)
from jaxswarm.systems.agent_conductor.density import MAX_NODES
from jaxswarm.systems.agent_conductor.graphs import RoleGraph, graph_size
from jaxswarm.systems.agent_conductor.world import (
    DIFFICULTIES,
    NUM_FEATURES,
    CodeTasks,
    CodeWorld,
    check_tasks,
    check_world,
)
from jaxswarm.types import ArrayLike, Key, Params, PyTree

NUM_OBSERVED = NUM_FEATURES + len(DIFFICULTIES) + 2 + NUM_PAST


class ConductorState(NamedTuple):
    """State of the conductor.

    Attributes:
        params: of the decoder and the head for difficulty.
        opt_state: the optimizer's state.
        reference: parameters of the frozen reference policy of GRPO; set by ``freeze``.
    """

    params: Params
    opt_state: PyTree
    reference: Params


class ConductorInfo(NamedTuple):
    """Measurements of one training step, ``float32[]``.

    Attributes:
        loss: minimized.
        reward: mean over trajectories; 0 in imitation.
        passed: share of trajectories that pass.
        invalid: share of first graphs that are not valid.
        tokens: mean of a trajectory.
        nodes: mean number of agents of first graphs.
        difficulty: share of tasks whose difficulty is inferred right.
        kl: estimated divergence from the reference, per slot; 0 in imitation.
    """

    loss: jax.Array
    reward: jax.Array
    passed: jax.Array
    invalid: jax.Array
    tokens: jax.Array
    nodes: jax.Array
    difficulty: jax.Array
    kl: jax.Array


class Conductor(NamedTuple):
    """AgentConductor as pure functions; see :func:`conductor`.

    Attributes:
        init: ``init(key) -> state``.
        imitate: ``imitate(key, state, tasks, options) -> (state, info)``.
        freeze: ``freeze(state) -> state`` with the present policy as reference of GRPO.
        step: ``step(key, state, tasks, options) -> (state, info)``, one GRPO update.
        plan: ``plan(key, params, features, options) -> RoleGraph`` of the first turn.
        solve: ``solve(key, params, tasks, options) -> Episode``, without learning.
        replay: ``replay(key, tasks, first, second, options) -> Episode`` of given graphs.
    """

    init: Callable[[Key], ConductorState]
    imitate: Callable[..., tuple[ConductorState, ConductorInfo]]
    freeze: Callable[[ConductorState], ConductorState]
    step: Callable[..., tuple[ConductorState, ConductorInfo]]
    plan: Callable[..., RoleGraph]
    solve: Callable[..., Episode]
    replay: Callable[..., Episode]


def conductor(
    backend: AgentBackend | None = None,
    *,
    world: CodeWorld = CodeWorld(),  # noqa: B008
    slots: int = 10,
    max_nodes: tuple[int, ...] = MAX_NODES,
    width: int = 64,
    optimizer: optax.GradientTransformation | None = None,
    group_size: int = 8,
    rewards: Rewards = Rewards(),  # noqa: B008
    clip_low: ArrayLike = 0.2,
    clip_high: ArrayLike = 0.28,
    num_updates: int = 1,
    kl_weight: ArrayLike = 0.01,
) -> Conductor:
    """AgentConductor: a learned orchestrator of role graphs with feedback and a density reward.

    Args:
        backend: agents of the six roles, worker ``r`` for role ``r``; simulated ones by default.
            ``coordination.host_backend`` takes a model of your own.
        world: constants of the code world.
        slots: ``N``, at least the largest of ``max_nodes``.
        max_nodes: largest number of agents for each difficulty.
        width: of the decoder's hidden layers.
        optimizer: Adam with step size 3e-3 and gradients clipped to norm 1 by default.
        group_size: ``G`` trajectories of each task in a step, at least 2.
        rewards: of outcomes, format errors and sparsity.
        clip_low: clip range of GRPO, in ``[0, 1]``.
        clip_high: at least 0.
        num_updates: gradient steps on the same trajectories. With one nothing is clipped.
        kl_weight: weight of the divergence from the reference, at least 0.

    Raises:
        ValueError: for arguments of another kind or out of range, or rewards under which the
            sparsest valid graph is optimal.

    Example:
        >>> import jax
        >>> from jaxswarm.systems import agent_conductor
        >>> conductor = agent_conductor.conductor(slots=4, max_nodes=(2, 3, 4), width=8)
        >>> state = conductor.init(jax.random.key(0))
        >>> tasks = agent_conductor.sample_tasks(jax.random.key(1), 4)
        >>> state, info = jax.jit(conductor.imitate)(jax.random.key(2), state, tasks)
        >>> state = conductor.freeze(state)
        >>> state, info = jax.jit(conductor.step)(jax.random.key(3), state, tasks)
        >>> episode = jax.jit(conductor.solve)(jax.random.key(4), state.params, tasks)
        >>> episode.passed.shape, episode.first.graph.role.shape
        ((4,), (4, 4))
    """
    if backend is None:
        backend = role_backend()
    checks.instance("backend", backend, AgentBackend, "agent_conductor.role_backend()")
    check_world(world)
    slots, width = checks.whole("slots", slots, 1), checks.whole("width", width, 1)
    bands = check_bands(max_nodes, slots)
    group_size = checks.whole("group_size", group_size, 2)
    num_updates = checks.whole("num_updates", num_updates, 1)
    check_rewards(rewards, bands)
    checks.probability("clip_low", clip_low)
    checks.real("clip_high", clip_high, 0.0)
    checks.real("kl_weight", kl_weight, 0.0)
    if optimizer is None:
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3))
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    net = Decoder(slots, width)

    def init(key: Key) -> ConductorState:
        blank = jnp.zeros((1, NUM_OBSERVED)), jnp.zeros((1, NUM_FEATURES))
        params = net.init(checks.key(key), *blank)
        return ConductorState(params, optimizer.init(params), jax.tree.map(jnp.array, params))

    def freeze(state: ConductorState) -> ConductorState:
        checks.instance("state", state, ConductorState, "conductor.init(key)")
        return state._replace(reference=jax.tree.map(jnp.array, state.params),
                              opt_state=optimizer.init(state.params))  # fmt: skip

    def bound(
        params: Params, features: jax.Array, hidden: jax.Array, options: Options
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Difficulty, its distribution as observed, and the largest number of agents."""
        logits = jax.lax.stop_gradient(
            jnp.asarray(net.apply(params, features, method="difficulty"))
        )
        given = jax.nn.one_hot(hidden, len(DIFFICULTIES))
        belief = jnp.where(options.true_difficulty, given, jax.nn.softmax(logits))
        level = jnp.argmax(belief, axis=-1)
        most = jnp.where(options.adaptive, jnp.asarray(bands)[level], bands[-1])
        return level, belief, most

    def observe(
        features: jax.Array,
        belief: jax.Array,
        most: jax.Array,
        turn: jax.Array,
        past: jax.Array,
        options: Options,
    ) -> jax.Array:
        count = features.shape[0]
        number = jnp.broadcast_to(jnp.asarray(turn, jnp.float32), (count, 1))
        shown = jnp.where(options.verdict, past, 0.0)
        return jnp.concatenate([features, belief, most[:, None] / slots, number, shown], axis=-1)

    def episode(
        key: Key,
        params: Params,
        tasks: CodeTasks,
        options: Options,
        write: Callable[..., RoleGraph],
        repeat: jax.Array,
    ) -> Episode:
        """Run both turns; ``write(turn, key, observation, most)`` makes the graphs."""
        level, belief, most = bound(params, tasks.features, tasks.difficulty, options)

        def written(turn: jax.Array, key: Key, past: jax.Array) -> tuple[jax.Array, RoleGraph]:
            seen = observe(tasks.features, belief, most, turn, past, options)
            return seen, write(turn, key, seen, most)

        first, second = two_turns(key, backend, world, tasks, most, options, written, repeat)
        return finished(first, second, most, level, rewards, options)

    def drawn(params: Params, options: Options, temperature: ArrayLike = 1.0) -> Any:
        def write(turn: Any, key: Key, seen: jax.Array, most: jax.Array) -> RoleGraph:
            del turn
            return net.apply(
                params, key, seen, most, options.masked, jnp.asarray(temperature), method="draw"
            )  # pyright: ignore[reportReturnType]

        return write

    def trajectory_log_probs(params: Params, found: Episode, options: Options) -> jax.Array:
        """Log-probabilities of the slots of both turns, ``float32[B, 2 N]``."""
        turns = [(turn.observation, turn.graph) for turn in (found.first, found.second)]
        seen, graphs = jax.tree.map(lambda *x: jnp.concatenate(x), *turns)
        most = jnp.concatenate([found.max_nodes] * 2)
        rows = net.apply(params, seen, graphs, most, options.masked, method="log_probs")
        return jnp.concatenate(jnp.split(jnp.asarray(rows), 2), axis=-1)

    def counted(found: Episode) -> jax.Array:
        rows = [
            slots_that_count(turn.graph) & turn.used[:, None]
            for turn in (found.first, found.second)
        ]
        return jnp.concatenate(rows, axis=-1)

    def apply(state: ConductorState, grads: PyTree) -> ConductorState:
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        return state._replace(
            params=optax.apply_updates(state.params, updates), opt_state=opt_state
        )

    def imitate(
        key: Key,
        state: ConductorState,
        tasks: CodeTasks,
        options: Options = Options(),  # noqa: B008
    ) -> tuple[ConductorState, ConductorInfo]:
        """One gradient step toward random valid graphs and known difficulties of ``tasks``."""
        checks.key(key)
        checks.instance("state", state, ConductorState, "conductor.init(key)")
        tasks, options = check_tasks(tasks), check_options(options)

        def write(turn: Any, key: Key, seen: jax.Array, most: jax.Array) -> RoleGraph:
            del turn, seen
            return random_graphs(key, most, slots)

        everything = options._replace(second_turn=jnp.bool_(True))
        found = episode(key, state.params, tasks, everything, write, jnp.int32(0))
        mask = counted(found) & jnp.stack(
            [jnp.ones(2 * slots, bool).at[slots:].set(options.second_turn)]
        )

        def objective(params: Params) -> jax.Array:
            rows = trajectory_log_probs(params, found, options._replace(masked=jnp.bool_(False)))
            nll = -jnp.sum(jnp.where(mask, rows, 0.0)) / jnp.maximum(jnp.sum(mask), 1)
            logits = jnp.asarray(net.apply(params, tasks.features, method="difficulty"))
            labels = optax.softmax_cross_entropy_with_integer_labels(logits, tasks.difficulty)
            return nll + jnp.mean(labels)

        loss, grads = jax.value_and_grad(objective)(state.params)
        none = jnp.zeros(())
        return apply(state, grads), _info(loss, found, tasks, none)._replace(reward=none)

    def step(
        key: Key,
        state: ConductorState,
        tasks: CodeTasks,
        options: Options = Options(),  # noqa: B008
    ) -> tuple[ConductorState, ConductorInfo]:
        """One GRPO update on ``group_size`` trajectories of each task."""
        checks.key(key)
        checks.instance("state", state, ConductorState, "conductor.init(key)")
        tasks, options = check_tasks(tasks), check_options(options)
        count = tasks.task.shape[0]
        many = jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x), group_size, axis=0), tasks)
        member = jnp.tile(jnp.arange(group_size), count)
        found = episode(key, state.params, many, options, drawn(state.params, options), member)
        found = jax.lax.stop_gradient(found)
        advantages = language.group_advantages(found.reward.reshape(count, group_size)).ravel()
        mask = counted(found)
        reference = trajectory_log_probs(state.reference, found, options)
        old = trajectory_log_probs(state.params, found, options) if num_updates > 1 else None

        def objective(params: Params) -> tuple[jax.Array, Any]:
            loss = language.grpo_loss(
                trajectory_log_probs(params, found, options), advantages, mask, old_log_probs=old,
                clip_low=clip_low, clip_high=clip_high, reference_log_probs=reference,
                kl_weight=kl_weight,
            )  # fmt: skip
            return loss.loss, loss

        def update(state: ConductorState, _: None) -> tuple[ConductorState, Any]:
            grads, loss = jax.grad(objective, has_aux=True)(state.params)
            return apply(state, grads), loss

        if num_updates == 1:
            state, loss = update(state, None)
        else:
            state, losses = jax.lax.scan(update, state, length=num_updates)
            loss = jax.tree.map(lambda x: x[-1], losses)
        return state, _info(loss.loss, found, many, loss.kl)

    def plan(
        key: Key,
        params: Params,
        features: ArrayLike,
        options: Options = Options(),  # noqa: B008
        temperature: ArrayLike = 1.0,
    ) -> RoleGraph:
        """Write the first graph for tasks of which only features ``[B, F]`` are known."""
        checks.key(key)
        options = check_options(options)
        checks.real("temperature", temperature, 0.0)
        rows = jnp.asarray(checks.real("features", features, shape=(None, NUM_FEATURES)))
        if not checks.is_traced(options.true_difficulty) and bool(options.true_difficulty):
            raise ValueError("true_difficulty: expected False, since the difficulty is not given")
        blank = jnp.zeros(rows.shape[0], jnp.int32)
        _, belief, most = bound(params, rows, blank, options)
        past = jnp.zeros((rows.shape[0], NUM_PAST))
        seen = observe(rows, belief, most, jnp.int32(0), past, options)
        return drawn(params, options, temperature)(0, key, seen, most)

    def solve(
        key: Key,
        params: Params,
        tasks: CodeTasks,
        options: Options = Options(),  # noqa: B008
        temperature: ArrayLike = 1.0,
    ) -> Episode:
        """Solve tasks without learning; temperature 0 takes the most probable choices."""
        checks.key(key)
        tasks, options = check_tasks(tasks), check_options(options)
        checks.real("temperature", temperature, 0.0)
        write = drawn(params, options, temperature)
        return episode(key, params, tasks, options, write, jnp.int32(0))

    return Conductor(
        init, imitate, freeze, step, plan, solve, replay_function(backend, world, rewards)
    )


def _info(
    loss: jax.Array, found: Episode, tasks: CodeTasks, divergence: jax.Array
) -> ConductorInfo:
    def mean(x: jax.Array) -> jax.Array:
        return jnp.mean(x.astype(jnp.float32))

    return ConductorInfo(
        loss=loss,
        reward=mean(found.reward),
        passed=mean(found.passed),
        invalid=mean(found.first.outcome.error != 0),
        tokens=mean(found.tokens),
        nodes=mean(graph_size(found.first.graph).nodes),
        difficulty=mean(found.difficulty == tasks.difficulty),
        kl=divergence,
    )
