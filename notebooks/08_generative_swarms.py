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
# # Generative swarms
#
# Flow models carry noise to data along a learned velocity field. This notebook trains one on a
# mixture in the plane, **compares it with the exact field**, which is known in closed form, then
# splits the data over **experts that never communicate** and joins them by a router (decentralized
# diffusion models), **fine-tunes a model by rewards** (AC-Flow), and lets **a team with different
# rewards gossip**. Everything is two-dimensional so that it can be seen. Two CPU cores, a few
# minutes.

# %%
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from IPython.display import Image

import jaxswarm as js
from jaxswarm import agents, data, generative, gossip, plotting, topology
from jaxswarm.models import flow

# %% [markdown]
# ## 1 · From noise to data
#
# Time runs from noise at `t = 0` to data at `t = 1`. On the straight path `x_t = (1 − t) ε + t x₁`
# the target velocity is `x₁ − ε`; `generative.flow_matching` regresses a network onto it.

# %%
MODES = data.circle_modes(8)
DEVIATION = 0.15


def draw_data(key, n):
    return data.gaussian_mixture(key, n, MODES, deviation=DEVIATION)


model = flow.from_network(flow.MLP(width=64), (2,))
learner = generative.flow_matching(model, optax.adam(3e-3))


def step(key, state, _):
    step_key, batch_key = jax.random.split(key)
    return learner.step(step_key, state, draw_data(batch_key, 256))


start = learner.init(model.init(jax.random.key(0)))
trained, records = js.simulate(step, start, 1500, key=jax.random.key(1), every=20, progress=False)
velocity = flow.field(model, trained.ema_params)

# %% [markdown]
# Five hundred particles at five times, and the whole film. Particles of one mode at the end have one
# color from the beginning.

# %%
noise = jax.random.normal(jax.random.key(2), (500, 2))
frames = np.asarray(jax.jit(lambda x: flow.trajectory(velocity, x, num_steps=40))(noise))
nearest = np.linalg.norm(frames[-1][:, None] - MODES[None], axis=-1).argmin(1)


PALETTE = np.array(plotting.PALETTE)


def show(ax, points, groups, title, size=4):
    """Scatter points in the plane, one color for each group."""
    colors = PALETTE[np.broadcast_to(groups, len(points)) % len(PALETTE)]
    ax.scatter(*np.asarray(points).T, s=size, c=colors)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", title=title)


strip = np.ravel(plotting.panels(1, 5, width=2.4, height=2.6))
for ax, k in zip(strip, range(0, 41, 10), strict=True):
    show(ax, frames[k], nearest, f"t = {k / 40:g}")
strip[0]

# %%
film_file = Path(tempfile.mkdtemp()) / "film.gif"
plotting.movie(
    lambda ax, k: show(ax, frames[min(k, 40)], nearest, f"t = {min(k, 40) / 40:.2f}"),
    48,
    interval=80,
    save_path=film_file,
    dpi=60,
)
Image(data=film_file.read_bytes(), format="gif")

# %% [markdown]
# ## 2 · The exact field
#
# The best possible field of a finite data set is known: `flow.marginal_velocity`, the mean of the
# conditional velocities under the posterior of the data points. Early, all arrows point to the mean
# of the data; late, each to the nearest point. The network has learned nearly the same field.

# %%
points = draw_data(jax.random.key(3), 2000).x
side = jnp.linspace(-2.8, 2.8, 15)
grid = jnp.stack(jnp.meshgrid(side, side), -1).reshape(-1, 2)
similarity = {}
for ax, t in zip(np.ravel(plotting.panels(1, 2, width=4.6, height=4.6)), (0.1, 0.8), strict=True):
    exact = flow.marginal_velocity(points, grid, t)
    learned = velocity(grid, jnp.full(len(grid), t))
    plotting.swarm(grid, exact, ax=ax, title=f"exact field at t = {t}")
    ax.scatter(*MODES.T, s=12, c="black")
    near = jnp.linalg.norm(grid, axis=1) < 2.5
    cosine = jnp.sum(exact * learned, 1) / (
        jnp.linalg.norm(exact, axis=1) * jnp.linalg.norm(learned, axis=1)
    )
    similarity[t] = round(float(cosine[near].mean()), 3)
ax

# %% [markdown]
# Mean cosine of the angle between learned and exact velocities:

# %%
similarity

# %% [markdown]
# ## 3 · Experts under a router
#
# Four clusters of the data, one expert each, trained without any communication; a small router
# learns which cluster a noised sample came from. The sum of the experts' velocities, weighted by the
# router, has the same optimum as one model of all data. Colors are clusters; the maps show the
# router's most probable expert. At `t = 0` a sample is pure noise: the experts are nearly equally
# probable, so which one is first is an accident of training, and top-1 sampling, which follows it,
# fails without a condition. With one expert lost the router shares its part among the others, and
# the samples lack its quarter of the data.

# %%
train = np.asarray(draw_data(jax.random.key(4), 4000).x)
clusters = generative.cluster(train, 4)
ddm = generative.experts(model, clusters, optimizer=optax.adam(3e-3), batch_size=64)
state, _ = js.simulate(
    ddm.step,
    ddm.init(jax.random.key(5)),
    1000,
    key=jax.random.key(6),
    inputs=ddm.shards(train),
    every=1000,
    progress=False,
)
ensemble = ddm.ensemble(state)

left, *maps = np.ravel(plotting.panels(1, 4, width=3.0, height=3.2))
show(left, train, clusters, "data and clusters")
fine = jnp.stack(jnp.meshgrid(*[jnp.linspace(-3, 3, 60)] * 2), -1).reshape(-1, 2)
for ax, t in zip(maps, (0.0, 0.5, 1.0), strict=True):
    show(ax, fine, ensemble.weights(fine, t).argmax(1), f"router at t = {t:g}", size=6)
left

# %%
test = draw_data(jax.random.key(7), 1000).x


def distance_to_data(sample):
    """Energy distance of 1,000 samples to as many of the data; about 0.005 if they are equal."""
    return round(float(flow.energy_distance(jax.jit(sample)(jax.random.key(8)), test)), 4)


distances = {
    "one model of all data": distance_to_data(lambda k: flow.sample(k, velocity, 1000, (2,))),
    "experts, full ensemble": distance_to_data(lambda k: ensemble.sample(k, 1000)),
    "experts, top-1": distance_to_data(lambda k: ensemble.sample(k, 1000, mode="top_k", k=1)),
    "experts, one lost": distance_to_data(
        lambda k: ensemble.sample(k, 1000, available=jnp.array([True, True, True, False]))
    ),
}
distances

# %% [markdown]
# ## 4 · Fine-tuning by rewards
#
# AC-Flow draws samples, asks a black box for their rewards, trains a critic of *noised* states, and
# weights the flow-matching loss by clipped advantages. Without its penalty on the distance to the
# pretrained model (`alpha = 0`) it gives up diversity for reward.


# %%
def upper_right(samples):
    """Reward of the modes at the upper right, at most 1."""
    return jnp.exp(-0.5 * jnp.sum(jnp.square(samples - MODES[1:2]), -1))


def fine_tuned(alpha):
    tuner = generative.ac_flow(
        model, upper_right, warm_up=30, alpha=alpha, optimizer=optax.adam(1e-3), num_steps=10
    )
    begin = tuner.init(trained.ema_params, jax.random.key(9))
    return js.simulate(tuner.step, begin, 250, key=jax.random.key(10), progress=False)


tuned = {alpha: fine_tuned(alpha) for alpha in (1.0, 0.0)}
first, *others, last = np.ravel(plotting.panels(1, 4, width=3.0, height=3.2))
show(first, frames[-1], 0, "pretrained")
rewards, reward_of = {}, {}
for ax, (alpha, (end, run)) in zip(others, tuned.items(), strict=True):
    samples = jax.jit(lambda key, params: flow.sample(key, flow.field(model, params), 500, (2,)))(
        jax.random.key(11), end.params
    )
    show(ax, samples, 1, f"fine-tuned, α = {alpha:g}")
    rewards[f"α = {alpha:g}"] = np.asarray(run.info.reward)[None]
    reward_of[alpha] = float(upper_right(samples).mean())
plotting.curves(
    rewards, title="mean reward of the samples", xlabel="iterations", ylabel="reward", ax=last
)

# %% [markdown]
# ## 5 · A team with different rewards
#
# Four agents fine-tune the same model, each for a mode of its own. Alone, each ends near its own
# mode. With gossip on a ring they hold one model: the four gradients nearly cancel, all modes
# survive, and each agent gets little more of its own mode than it had. The maps give the share of an
# agent's samples (row) that is nearest to a mode (column).

# %%
goals = jnp.asarray(MODES[::2])


def own_mode(samples, goal):
    return jnp.exp(-0.5 * jnp.sum(jnp.square(samples - goal[None]), -1))


def team(rule):
    """Share of each agent's samples whose nearest mode is each mode's, `[4, 8]`."""
    tuner = generative.ac_flow(
        model, own_mode, warm_up=30, alpha=0.1, optimizer=optax.adam(1e-3), num_steps=10
    )
    members = generative.decentralized(tuner, rule)
    request = generative.Request(context=goals)
    begin = members.init(agents.stack([trained.ema_params] * 4), jax.random.key(12), request)
    end, _ = js.simulate(
        members.step, begin, 200, key=jax.random.key(13), inputs=request, every=200, progress=False
    )

    def shares(params):
        samples = flow.sample(jax.random.key(14), flow.field(model, params), 500, (2,))
        return flow.mode_counts(samples, MODES, 10.0) / 500

    return np.asarray(jax.jit(jax.vmap(shares))(end.params))


ring = gossip.averaging(gossip.mixing(topology.ring(4)))
shares = {"alone": team(gossip.identity()), "gossip on a ring": team(ring)}
directions = [f"{45 * k}°" for k in range(8)]
teams = np.ravel(plotting.panels(1, 2, width=6.4, height=3.4))
for ax, (name, share) in zip(teams, shares.items(), strict=True):
    rows = [f"agent {i}: {90 * i}°" for i in range(4)]
    plotting.heatmap(share, rows, directions, title=name, ax=ax)
ax

# %%
{
    "energy distance to data": distances,
    "reward": [round(float(upper_right(test).mean()), 2), round(reward_of[1.0], 2)],
    "share of samples at the agent's own mode": {
        name: round(float(share[np.arange(4), 2 * np.arange(4)].mean()), 2)
        for name, share in shares.items()
    },
}
