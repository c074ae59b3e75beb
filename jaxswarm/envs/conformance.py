"""Conformance test for environments: the properties that every environment must have.

Run it in a test of your own environment: ``envs.conformance.check(lambda n: MyEnvironment(n))``.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs.environment import SwarmEnvironment, require_environment
from jaxswarm.envs.policies import random_policy, unroll
from jaxswarm.envs.wrappers import AutoReset
from jaxswarm.types import PyTree


def check(
    make: Callable[[int], SwarmEnvironment],
    num_agents: int = 4,
    *,
    steps: int = 8,
    seed: int = 0,
    noiseless: PyTree = None,
    symmetric: bool = True,
) -> None:
    """Check an environment; raises ``AssertionError`` naming the first property that it violates.

    Specs; jit equals eager; the same ``extras`` at reset and step; a time limit that truncates;
    program size independent of ``N``; agents that left stay out, without reward or discount;
    permuting the agents permutes the outcome; finite gradients of rewards with respect to
    continuous actions; ``AutoReset`` keeps the true last observation.

    Args:
        make: ``make(num_agents) -> environment``.
        num_agents: ``N``; an environment of ``N + 1`` agents is made too.
        steps: number of random steps.
        seed: of all random numbers.
        noiseless: physics under which ``advance`` draws no random numbers; needed for the
            permutation test if the default physics does.
        symmetric: whether agents are interchangeable; false skips the permutation test.

    Raises:
        ValueError: for sizes below 1, or a ``make`` that makes no environment.
    """
    checks.function("make", make)
    num_agents, steps = checks.whole("num_agents", num_agents, 1), checks.whole("steps", steps, 1)
    seed = checks.whole("seed", seed)
    env, other = (
        require_environment(made, "make") for made in (make(num_agents), make(num_agents + 1))
    )
    key = jax.random.key(seed)
    policy = random_policy(env.action_spec)
    _, trajectory = jax.jit(lambda k: unroll(k, env, policy, steps))(key)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    state, first = reset(key)
    action = trajectory.action[0]
    _specs(env, state, first, action)
    _close(env.step(state, action), step(state, action), "jit differs from eager")
    _extras(env, key)
    _truncation(env, step, state, action)
    _program_size(env, other)
    _masked_stay_out(trajectory)
    if symmetric:
        start = state if noiseless is None else reset(key, noiseless)[0]
        _permutation(env, other, step, start, action)
    if not jnp.issubdtype(env.action_spec.dtype, jnp.integer):
        gradient = jax.jit(jax.grad(lambda a: jnp.sum(env.step(state, a)[1].reward)))(action)
        assert bool(jnp.isfinite(gradient).all()), "the gradient of the reward is not finite"
    _auto_reset(env, step, state, action)


def _specs(env: SwarmEnvironment, state: Any, first: Any, action: jax.Array) -> None:
    env.observation_spec.validate(first.observation)
    env.reward_spec.validate(first.reward)
    env.discount_spec.validate(first.discount)
    env.action_spec.validate(action)
    assert hasattr(state, "key"), "state: expected a field key, as jumanji's states have"
    mask = getattr(first.observation, "agent_mask", None)
    assert mask is not None, "observation: expected a field agent_mask"
    assert mask.shape == (env.num_agents,), f"agent_mask: expected [N], got {mask.shape}"
    for path, leaf in jax.tree.leaves_with_path(first.observation):
        name = jax.tree_util.keystr(path)
        assert leaf.shape[:1] == (env.num_agents,), f"observation{name}: expected agents on axis 0"
    spec = env.action_spec
    assert isinstance(spec, specs.Array), f"action_spec: expected an array spec, got {spec}"
    assert spec.shape[:1] == (env.num_agents,), "action_spec: expected agents on axis 0"


def _extras(env: SwarmEnvironment, key: jax.Array) -> None:
    state, first = jax.eval_shape(env.reset, key)
    spec = env.action_spec
    after, then = jax.eval_shape(env.step, state, jax.ShapeDtypeStruct(spec.shape, spec.dtype))
    for name, one, two in (("state", state, after), ("timestep", first, then)):
        assert jax.tree.structure(one) == jax.tree.structure(two), f"{name}: structure changes"
        kinds = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(one)]
        later = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(two)]
        assert kinds == later, f"{name}: shapes change between reset and step"


def _truncation(env: SwarmEnvironment, step: Any, state: Any, action: jax.Array) -> None:
    _, timestep = step(state._replace(step_count=jnp.int32(env.time_limit - 1)), action)
    assert bool(timestep.last()), "the time limit does not end the episode"
    if bool(timestep.extras["truncated"]):
        present = np.asarray(timestep.observation.agent_mask)
        present = present & ~np.asarray(timestep.extras.get("restarted", False))
        assert (np.asarray(timestep.discount)[present] == 1.0).all(), "the time limit terminates"


def _program_size(env: SwarmEnvironment, other: SwarmEnvironment) -> None:
    def size(env: SwarmEnvironment) -> int:
        state, _ = jax.eval_shape(env.reset, jax.random.key(0))
        spec = env.action_spec
        step = jax.make_jaxpr(env.step)(state, jax.ShapeDtypeStruct(spec.shape, spec.dtype))
        return len(str(step).splitlines())

    one, two = size(env), size(other)
    assert abs(one - two) <= 0.02 * one, f"the program grows with N: {one} and {two} lines"


def _masked_stay_out(trajectory: Any) -> None:
    present = np.asarray(trajectory.timestep.observation.agent_mask)
    assert not (~present[:-1] & present[1:]).any(), "an agent that left came back"
    gone = ~present[:-1]
    assert (np.asarray(trajectory.timestep.reward)[1:][gone] == 0).all(), "reward after leaving"
    assert (np.asarray(trajectory.timestep.discount)[~present] == 0).all(), "discount after leaving"


def _permutation(
    env: SwarmEnvironment, other: SwarmEnvironment, step: Any, state: Any, action: jax.Array
) -> None:
    larger, _ = jax.eval_shape(other.reset, jax.random.key(0))
    order = np.roll(np.arange(env.num_agents), 1)  # no agent keeps its place

    def permuted(tree: PyTree, template: PyTree) -> PyTree:
        def leaf(x: jax.Array, wider: Any) -> jax.Array:
            per_agent = jnp.shape(x)[:1] == (env.num_agents,) and wider.shape[:1] == (
                env.num_agents + 1,
            )
            return x[order] if per_agent else x

        return jax.tree.map(leaf, tree, template)

    after, timestep = step(state, action)
    moved, then = step(state._replace(world=permuted(state.world, larger.world)), action[order])
    _close(permuted(after.world, larger.world), moved.world, "permuting agents changes the world")
    _close(timestep.reward[order], then.reward, "permuting agents changes the rewards")


def _auto_reset(env: SwarmEnvironment, step: Any, state: Any, action: jax.Array) -> None:
    state = state._replace(step_count=jnp.int32(env.time_limit - 1))
    _, true = step(state, action)
    fresh, timestep = jax.jit(AutoReset(env).step)(state, action)
    assert bool(timestep.last()), "the last step is not marked"
    _close(timestep.extras["next_obs"], true.observation, "the true last observation is lost")
    assert int(fresh.step_count) == 0, "no new episode started"


def _close(one: PyTree, two: PyTree, message: str) -> None:
    def plain(x: Any) -> np.ndarray:
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        return np.asarray(x)

    for (path, a), b in zip(jax.tree.leaves_with_path(one), jax.tree.leaves(two), strict=True):
        if not np.allclose(plain(a), plain(b), rtol=1e-4, atol=1e-5):
            raise AssertionError(f"{message}: at {jax.tree_util.keystr(path)}")
