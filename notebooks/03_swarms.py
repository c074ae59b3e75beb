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
# Agents that move, see who is near, and follow a rule of a line or two. We fly **a flock of
# 10,000**, melt its order **with noise**, find **the coupling at which clocks agree**, watch a group
# **mill and then fly off**, write **a law of our own**, and end in **a world with rules and
# rewards**. Two CPU cores, about half a minute.

# %%
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import envs, plotting, rollout, space, swarms

# %% [markdown]
# ## 1 · Ten thousand
#
# A law of motion is a pair of pure functions, `init(key)` and `step(key, state, parameters)`, like
# every algorithm here. Vicsek's is the plainest: move on, and take the mean direction of those
# within sight, with an error. Who is in sight of whom is found by sorting, not by comparing all
# pairs.

# %%
N = 10_000
side = float(np.sqrt(N / 4))  # four agents within a unit square
law = swarms.vicsek(space.Space((side, side)), N, speed=0.3, noise=0.5)
key, start_key = jax.random.split(jax.random.key(0))
start = law.init(start_key)
flock, records = jax.jit(lambda k: rollout(law.step, start, 150, key=k, every=10))(key)
left, right = np.ravel(plotting.panels(1, 2, width=5.0, height=5.0))
plotting.swarm(start.positions, start.angles, box=side, title="before", ax=left)
plotting.swarm(flock.positions, flock.angles, box=side, title="150 steps later", ax=right)

# %% [markdown]
# ## 2 · Order melts
#
# Numbers of a law are traced, so a sweep is a `vmap`: twelve levels of noise, one program.

# %%
small = swarms.vicsek(space.Space((5.0, 5.0)), 100)
noise = jnp.linspace(0.2, 6.0, 12)


def order(noise, key):
    first, second = jax.random.split(key)
    p = swarms.VicsekParams(speed=0.1, noise=noise, radius=1.0)
    _, records = rollout(small.step, small.init(first), 300, key=second, inputs=p)
    return records.info.polarization[-100:].mean()


keys = jax.random.split(jax.random.key(1), 4)
melted = jax.jit(jax.vmap(jax.vmap(order, (0, None)), (None, 0)))(noise, keys)
plotting.curves(
    {"order": melted},
    np.asarray(noise),
    title="noise takes a flock's order",
    xlabel="noise, radians",
    ylabel="length of the mean direction",
)

# %% [markdown]
# ## 3 · Clocks agree, or not
#
# Kuramoto's oscillators differ in pace. Below a critical coupling each keeps its own; above it some
# lock. For Lorentzian paces of width γ theory says $K_c = 2γ$ and $r = \sqrt{1 - K_c / K}$.

# %%
clocks = swarms.kuramoto(1500, frequencies=lambda key: 0.5 * jax.random.cauchy(key))
coupling = jnp.linspace(0.2, 4.0, 10)


def locked(coupling):
    first, second = jax.random.split(jax.random.key(2))
    p = swarms.KuramotoParams(coupling, 0.0)
    _, records = rollout(clocks.step, clocks.init(first), 500, key=second, inputs=p)
    return records.info.order[-150:].mean()


found = jax.jit(jax.vmap(locked))(coupling)
theory = np.sqrt(np.maximum(0.0, 1.0 - 1.0 / np.asarray(coupling)))
plotting.curves(
    {"1,500 clocks": found[None], "theory": theory[None]},
    np.asarray(coupling),
    title="agreement begins at a coupling of one",
    xlabel="coupling K",
    ylabel="order r",
)

# %% [markdown]
# ## 4 · One group, three ways to be one
#
# Couzin's agents flee whoever is too near, go along with those further out, and approach those far
# away. The width of the middle zone alone decides what the group does: a loose swarm, a ring that
# turns, or parallel flight.

# %%
fish = swarms.couzin(space.Space((4.0, 4.0, 4.0), "open"), 50)
widths = jnp.array([1.0, 2.0, 8.0])


def school(width):
    first, second = jax.random.split(jax.random.key(1))
    p = fish.parameters._replace(orientation=width)
    end, _ = rollout(fish.step, fish.init(first), 1500, key=second, inputs=p, every=1500)
    turning = swarms.milling(end.positions, end.velocities)
    return end, swarms.polarization(end.velocities), turning


ends, parallel, turning = jax.jit(jax.vmap(school))(widths)
panels = np.ravel(plotting.panels(1, 3, width=4.0, height=4.0))
for i, ax in enumerate(panels):
    title = f"parallel {parallel[i]:.2f}, turning {turning[i]:.2f}"
    at, way = ends.positions[i, :, :2], ends.velocities[i, :, :2]  # seen from above
    plotting.swarm(at, way, title=title, ax=ax)
ax

# %% [markdown]
# ## 5 · A law of your own
#
# Shy agents: everyone keeps away from the nearest other, the faster the nearer. `search` finds who
# is near; `reduce` takes sums, minima or maxima of any function of a pair, gradients included.


# %%
def shy(box, n, radius):
    look = space.search(box, radius, n)

    def init(key):
        return box.uniform(jax.random.split(key, n))

    def step(key, positions, inputs=None):
        def push(own, other, offset):
            away = space.length(offset)
            return -offset / away * (radius - away)

        shove, _ = look.reduce(positions, push)
        moved = box.wrap(positions + 0.2 * shove)
        return moved, swarms.nearest_distance(look, moved).min()

    return init, step


box = space.Space((10.0, 10.0))
init, step = shy(box, 300, 0.8)
crowd = init(jax.random.key(5))
after, closest = jax.jit(lambda k: rollout(step, crowd, 200, key=k))(jax.random.key(6))
plotting.curves(
    {"nearest two": np.minimum(closest.info, 0.8)[None]},
    title="shy agents spread out",
    xlabel="steps",
    ylabel="distance",
)

# %% [markdown]
# ## 6 · A world with rules
#
# Environments put agents like these under jumanji's interface: observations, actions, rewards, all
# with the agents on axis 0. Here searchers look for drifting targets, each with a cone of vision;
# a policy written by hand turns towards the target it sees most of.

# %%
world = envs.SearchAndRescue(num_agents=8, num_targets=40, time_limit=120)


def look_and_turn(key, seen):
    missing = seen.views[:, 2]  # distances to missing targets along the rays, -1 for none
    ray = jnp.argmax(jnp.where(missing >= 0, 1.0 - missing, -1.0), axis=1)
    bearing = 1.0 - 2.0 * ray / (missing.shape[1] - 1)
    wander = jax.random.uniform(key, bearing.shape, minval=-0.2, maxval=0.2)
    turn = jnp.where((missing >= 0).any(axis=1), -0.8 * bearing, wander)
    return jnp.stack([-turn, jnp.ones_like(turn)], axis=1)


def play(policy):
    run = jax.jit(lambda k: envs.unroll(k, world, policy, 120, keep_states=True))
    return run(jax.random.key(7))


_, hunted = play(envs.scripted(look_and_turn))
_, strolled = play(envs.random_policy(world.action_spec))
world.render(jax.tree.map(lambda x: x[-1], hunted.state))

# %% [markdown]
# `world.animate(hunted.state, save_path="search.gif")` makes a film of it. What the two policies
# found:

# %%
{
    "by hand": int(hunted.timestep.extras["found"][-1]),
    "at random": int(strolled.timestep.extras["found"][-1]),
}

# %% [markdown]
# ## 7 · A benchmark on a grid
#
# SwarmBench asks five tasks of agents who see a few cells and hear anonymous messages from nearby.
# Here ten of them, with a map in their heads, carry food (green) through a maze to the nest
# (filled agents carry a piece).

# %%
bench = envs.swarmbench.make("foraging", view=7, message_length=2)
policy = envs.swarmbench.scripted_policy(bench)
replay = jax.jit(lambda k: envs.unroll(k, bench, policy, 60, keep_states=True))
_, foraged = replay(jax.random.key(2))
frames = plotting.panels(1, 3, width=3.6, height=3.6)
for ax, t in zip(frames[0], (0, 20, 59), strict=True):
    bench.render(jax.tree.map(lambda x, t=t: x[t], foraged.state), ax=ax)
    ax.set_title(f"round {t + 1}, {int(foraged.timestep.extras['score'][t])} brought home")
frames[0, 0].figure

# %% [markdown]
# `bench.animate(foraged.state, save_path="foraging.gif")` is the replay as a film. A language model
# of yours plays through `text_policy(bench, answers)`, where `answers(prompts)` returns one text
# per agent. What agent 3 would read in the first round:

# %%
first = jax.tree.map(lambda x: x[0], foraged.observation)
envs.swarmbench.render(first.view[3], first.numbers[3], first.position[3]).splitlines()

# %% [markdown]
# And what a map in the head is worth, in pieces brought home in 60 rounds:

# %%
_, stumbled = jax.jit(lambda k: envs.unroll(k, bench, envs.random_policy(bench.action_spec), 60))(
    jax.random.key(2)
)
{
    "with a map": int(foraged.timestep.extras["score"][-1]),
    "at random": int(stumbled.timestep.extras["score"][-1]),
}
