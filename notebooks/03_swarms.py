# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Swarms
#
# Models of collective motion on a neighbour search: we simulate **a flock of 10,000 agents**, measure
# how **noise destroys its order**, find **the critical coupling of Kuramoto oscillators**, see a group
# **form a swarm, a torus and a parallel group**, write **a model of our own**, and end with
# **environments with observations and rewards**. About half a minute on two CPU cores.

# %%
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import envs, plotting, rollout, space, swarms

# %% [markdown]
# ## 1 · The Vicsek model with ten thousand agents
#
# A model of motion is a pair of pure functions, `init(key)` and `step(key, state, parameters)`, like
# every algorithm here. In the Vicsek model agents move at constant speed and take the mean heading of
# their neighbours within a radius, with noise. Neighbours are found with a sorted cell list, not by
# comparing all pairs.

# %%
N = 10_000
side = float(np.sqrt(N / 4))  # four agents within a unit square
model = swarms.vicsek(space.Space((side, side)), N, speed=0.3, noise=0.5)
key, start_key = jax.random.split(jax.random.key(0))
start = model.init(start_key)
flock, records = jax.jit(lambda k: rollout(model.step, start, 150, key=k, every=10))(key)
left, right = np.ravel(plotting.panels(1, 2, width=5.0, height=5.0))
plotting.swarm(start.positions, start.angles, box=side, title="before", ax=left)
plotting.swarm(flock.positions, flock.angles, box=side, title="150 steps later", ax=right)

# %% [markdown]
# ## 2 · Order against noise
#
# The parameters of a model are traced, so a sweep is a `vmap`: twelve levels of noise and four seeds
# in one program.

# %%
small = swarms.vicsek(space.Space((5.0, 5.0)), 100)
noise = jnp.linspace(0.2, 6.0, 12)


def order(noise, key):
    first, second = jax.random.split(key)
    p = swarms.VicsekParams(speed=0.1, noise=noise, radius=1.0)
    _, records = rollout(small.step, small.init(first), 300, key=second, inputs=p)
    return records.info.polarization[-100:].mean()


keys = jax.random.split(jax.random.key(1), 4)
polarization = jax.jit(jax.vmap(jax.vmap(order, (0, None)), (None, 0)))(noise, keys)
plotting.curves(
    {"order": polarization},
    np.asarray(noise),
    title="Vicsek model: order against noise",
    xlabel="noise (radians)",
    ylabel="length of the mean direction",
)

# %% [markdown]
# ## 3 · The critical coupling of Kuramoto oscillators
#
# Kuramoto oscillators have different natural frequencies. Below a critical coupling each keeps its
# own; above it some synchronize. For Lorentzian frequencies of width γ theory gives $K_c = 2γ$ and
# $r = \sqrt{1 - K_c / K}$.

# %%
oscillators = swarms.kuramoto(None, 1500, frequencies=lambda key: 0.5 * jax.random.cauchy(key))
coupling = jnp.linspace(0.2, 4.0, 10)


def synchrony(coupling):
    first, second = jax.random.split(jax.random.key(2))
    p = swarms.KuramotoParams(coupling, 0.0)
    _, records = rollout(oscillators.step, oscillators.init(first), 500, key=second, inputs=p)
    return records.info.order[-150:].mean()


measured = jax.jit(jax.vmap(synchrony))(coupling)
theory = np.sqrt(np.maximum(0.0, 1.0 - 1.0 / np.asarray(coupling)))
plotting.curves(
    {"1,500 oscillators": measured[None], "theory": theory[None]},
    np.asarray(coupling),
    title="Kuramoto model: order against coupling",
    xlabel="coupling K",
    ylabel="order r",
)

# %% [markdown]
# ## 4 · Swarm, torus and parallel group in the Couzin model
#
# Agents in the Couzin model move away from neighbours in a zone of repulsion, align with those in a
# zone of orientation, and approach those in a zone of attraction. The width of the zone of orientation
# alone decides the shape of the group: a swarm, a rotating torus, or a parallel group.

# %%
fish = swarms.couzin(space.Space((4.0, 4.0, 4.0), "open"), 50)
widths = jnp.array([1.0, 2.0, 8.0])


def group(width):
    first, second = jax.random.split(jax.random.key(1))
    p = fish.parameters._replace(orientation=width)
    end, _ = rollout(fish.step, fish.init(first), 1500, key=second, inputs=p, every=1500)
    turning = swarms.milling(end.positions, end.velocities)
    return end, swarms.polarization(end.velocities), turning


ends, parallel, turning = jax.jit(jax.vmap(group))(widths)
panels = np.ravel(plotting.panels(1, 3, width=4.0, height=4.0))
for i, ax in enumerate(panels):
    title = f"polarization {parallel[i]:.2f}, milling {turning[i]:.2f}"
    at, way = ends.positions[i, :, :2], ends.velocities[i, :, :2]  # seen from above
    plotting.swarm(at, way, title=title, ax=ax)
ax

# %% [markdown]
# ## 5 · A model of your own
#
# Repelling agents: each moves away from its neighbours, faster from nearer ones. `search` finds the
# neighbours; `reduce` takes sums, minima or maxima of any function of a pair, with gradients.


# %%
def repelling(box, n, radius):
    neighbors = space.search(box, radius, n)

    def init(key):
        return box.uniform(jax.random.split(key, n))

    def step(key, positions, inputs=None):
        def push(own, other, offset):
            away = space.length(offset)
            return -offset / away * (radius - away)

        total, _ = neighbors.reduce(positions, push)
        moved = box.wrap(positions + 0.2 * total)
        return moved, swarms.nearest_distance(neighbors, moved).min()

    return init, step


box = space.Space((10.0, 10.0))
init, step = repelling(box, 300, 0.8)
crowd = init(jax.random.key(5))
after, closest = jax.jit(lambda k: rollout(step, crowd, 200, key=k))(jax.random.key(6))
plotting.curves(
    {"smallest distance": np.minimum(closest.info, 0.8)[None]},
    title="Smallest distance between two repelling agents",
    xlabel="steps",
    ylabel="distance",
)

# %% [markdown]
# ## 6 · An environment with observations and rewards
#
# Environments have jumanji's interface: observations, actions and rewards, all with the agents on
# axis 0. Here searchers with a cone of vision look for drifting targets; a scripted policy turns
# towards the nearest target in view.

# %%
env = envs.SearchAndRescue(num_agents=8, num_targets=40, time_limit=120)


def turn_to_targets(key, observation):
    missing = observation.views[:, 2]  # distances to missing targets along the rays, -1 for none
    ray = jnp.argmax(jnp.where(missing >= 0, 1.0 - missing, -1.0), axis=1)
    bearing = 1.0 - 2.0 * ray / (missing.shape[1] - 1)
    wander = jax.random.uniform(key, bearing.shape, minval=-0.2, maxval=0.2)
    turn = jnp.where((missing >= 0).any(axis=1), -0.8 * bearing, wander)
    return jnp.stack([-turn, jnp.ones_like(turn)], axis=1)


def play(policy):
    run = jax.jit(lambda k: envs.unroll(k, env, policy, 120, keep_states=True))
    return run(jax.random.key(7))


_, scripted = play(envs.scripted(turn_to_targets))
_, random = play(envs.random_policy(env.action_spec))
env.render(jax.tree.map(lambda x: x[-1], scripted.state))

# %% [markdown]
# `env.animate(scripted.state, save_path="search.gif")` writes an animation. Targets found by the two
# policies:

# %%
{
    "scripted": int(scripted.timestep.extras["found"][-1]),
    "random": int(random.timestep.extras["found"][-1]),
}

# %% [markdown]
# ## 7 · A benchmark on a grid
#
# SwarmBench has five tasks for agents that observe a few cells and receive anonymous messages from
# nearby. Here ten agents with a scripted policy, which keeps a map of the observed cells, carry food
# (green) through a maze to the nest (dark agents carry a piece).

# %%
foraging = envs.swarmbench.make("foraging", view=7, message_length=2)
policy = envs.swarmbench.scripted_policy(foraging)
replay = jax.jit(lambda k: envs.unroll(k, foraging, policy, 60, keep_states=True))
_, with_map = replay(jax.random.key(2))
frames = plotting.panels(1, 3, width=3.6, height=3.6)
for ax, t in zip(frames[0], (0, 20, 59), strict=True):
    foraging.render(jax.tree.map(lambda x, t=t: x[t], with_map.state), ax=ax)
    ax.set_title(f"round {t + 1}, score {int(with_map.timestep.extras['score'][t])}")
frames[0, 0].figure

# %% [markdown]
# `foraging.animate(with_map.state, save_path="foraging.gif")` writes an animation. A language model
# acts through `text_policy(foraging, answers)`, where `answers(prompts)` returns one text per agent.
# The view of agent 3 in the first round, as its prompt shows it:

# %%
first = jax.tree.map(lambda x: x[0], with_map.observation)
envs.swarmbench.render(first.view[3], first.numbers[3], first.position[3]).splitlines()

# %% [markdown]
# The scores of the scripted policy and of random actions after 60 rounds:

# %%
random_actions = envs.random_policy(foraging.action_spec)
_, without_map = jax.jit(lambda k: envs.unroll(k, foraging, random_actions, 60))(jax.random.key(2))
{
    "scripted, with a map": int(with_map.timestep.extras["score"][-1]),
    "random": int(without_map.timestep.extras["score"][-1]),
}
