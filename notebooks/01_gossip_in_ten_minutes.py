# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Gossip in ten minutes
#
# A crowd of agents, each with its own numbers, talks to neighbours only. What can it agree on, how fast, and can it
# *learn* that way? Five stops: a graph, mixing on it, learning on it, a gossip rule of your own, and a gradient
# through the whole network.
#
# One convention carries everything: **agents are axis 0 of every array.**

# %%
# %matplotlib inline
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, data, gossip, learning, models, plotting, topology
from jaxswarm.rollout import rollout
from jaxswarm.topology import spectra, weights

# %% [markdown]
# ## 1. Who talks to whom
#
# A `Topology` is an edge list. Families have the names you expect; `topology.from_networkx(G)` takes anything else.

# %%
N = 24
graphs = {
    "ring": topology.ring(N),
    "torus": topology.torus(4, 6),
    "exponential": topology.exponential(N),
    "small world": topology.watts_strogatz(N, 4, 0.2, seed=1),
}
axes = np.ravel(plotting.panels(1, 4, width=3.2, height=3.0))
for ax, (name, graph) in zip(axes, graphs.items(), strict=True):
    plotting.graph(graph, graph.in_degrees(), title=name, label="degree", limits=(2, 8), ax=ax)
axes[0].figure

# %% [markdown]
# How fast a graph mixes is its spectral gap: the share of disagreement that one round of averaging is sure to
# remove (at least, in norm).

# %%
for name, graph in graphs.items():
    print(f"{name:12} spectral gap {float(spectra.spectral_gap(graph)):.3f}")

# %% [markdown]
# ## 2. Mixing
#
# `W = gossip.mixing(graph)` picks weights (Metropolis–Hastings: rows *and* columns sum to one, so the average stays)
# and a memory layout. `gossip.mix(W, tree)` is one round of “everyone averages with the neighbours”, for any pytree.

# %%
values = {"opinion": jax.random.normal(jax.random.key(0), (N, 3))}


@jax.jit
def disagreements(W, tree):
    def round_(tree, _):
        return gossip.mix(W, tree), agents.disagreement(tree)

    return jax.lax.scan(round_, tree, length=40)[1]


curves = {name: disagreements(gossip.mixing(graph), values)[None] for name, graph in graphs.items()}
plotting.disagreement(curves, title="forty rounds of averaging").figure

# %% [markdown]
# Straight lines on a log axis, with the slopes that the spectral gap promised, and the average has not moved:

# %%
W = gossip.mixing(graphs["torus"])
mixed = gossip.mix(W, values)
print("layout:", W.layout, "| stochastic:", W.stochasticity)
print("average before", values["opinion"].mean(0), "after", mixed["opinion"].mean(0))

# %% [markdown]
# ## 3. Learning
#
# Now the agents hold networks and private data: digits, dealt by a Dirichlet distribution so that nobody sees all
# classes. Local step, then gossip, as one pure `step(key, state, inputs)`.

# %%
split = data.load("digits")
deal = data.dirichlet_over_agents(split.train.labels, N, alpha=0.3, seed=0)
shards = data.shards(split.train, deal)
plotting.heatmap(
    deal.class_counts(split.train.labels)[:8],
    [f"agent {i}" for i in range(8)],
    [str(c) for c in range(10)],
    format=".0f",
    title="digits held by the first eight agents",
).figure

# %%
model = models.functional(models.mlp(32, 10), split.train.features[:1])
evaluate = learning.evaluation(model, split.test)
params = agents.initialize(jax.random.key(1), model.init, N)  # everyone its own draw


def learn(rule, rounds=300):
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.2),
        gossip=rule,
        sample=data.minibatches(16),
    )

    @jax.jit
    def run(state):
        return rollout(
            learner.step,
            state,
            rounds,
            key=jax.random.key(2),
            inputs=shards,
            every=10,
            evaluate=evaluate,
        )

    return run(learner.init(params))[1].evaluation


runs = {
    "alone": learn(gossip.none()),
    "ring": learn(gossip.averaging(gossip.mixing(graphs["ring"]))),
    "exponential": learn(gossip.averaging(gossip.mixing(graphs["exponential"]))),
    "server": learn(gossip.server()),
}
rounds = np.arange(1, 31) * 10
plotting.curves(
    {name: run.accuracy.T for name, run in runs.items()},
    rounds,
    ylabel="test accuracy; band: half of the agents",
    title="nobody ever shows its data",
).figure

# %% [markdown]
# Every run counts what it sent. The exponential graph gets a server's accuracy with no server in sight:

# %%
for name, run in runs.items():
    mean, worst = float(run.accuracy[-1].mean()), float(run.accuracy[-1].min())
    print(f"{name:12} mean {mean:.3f}  worst {worst:.3f}  sent {float(run.megabytes[-1]):5.0f} MB")

# %% [markdown]
# ## 4. Your own gossip rule
#
# A rule is two pure functions: `init(params) -> state` and
# `mix(key, params, state, round, **extra) -> (params, state, traffic)`. Here each agent stays silent until it has
# changed enough since it last spoke (event-triggered gossip). What was last said is the state; agents move by the
# difference that averaging makes to what was *said*, so the average of all still never drifts.

# %%


def event_triggered(W, neighbours, threshold):
    def init(params):
        return jax.tree.map(jnp.zeros_like, params)  # nobody has said anything yet

    def mix(key, params, said, round, **extra):
        change = jax.tree.leaves(jax.tree.map(jnp.subtract, params, said))
        size = sum(jnp.sum(c.reshape(N, -1) ** 2, axis=1) for c in change)
        speaks = size > threshold**2
        said = agents.where(speaks, params, said)
        params = jax.tree.map(lambda x, m, s: x + m - s, params, gossip.mix(W, said), said)
        messages = jnp.sum(jnp.where(speaks, neighbours, 0)).astype(jnp.float32)
        return params, said, gossip.Traffic(messages, messages * agents.size_of_one(params)[1])

    return gossip.GossipTransformation(init, mix)


graph = graphs["exponential"]
lazy = learn(event_triggered(gossip.mixing(graph), graph.out_degrees(), threshold=0.3))
full = runs["exponential"]
print(f"every round: {full.accuracy[-1].mean():.3f} for {full.megabytes[-1]:.0f} MB")
print(f"on events:   {lazy.accuracy[-1].mean():.3f} for {lazy.megabytes[-1]:.0f} MB")

# %% [markdown]
# It composes with all else: `gossip.scheduled(rule, gossip.every(5))`, `gossip.delayed(rule, 3)`,
# `gossip.compressed(gossip.averaging(W), gossip.top_k(0.1), step_size=0.3)`.
#
# ## 5. A gradient through the network
#
# Edge weights are leaves of `W`, so the disagreement after ten rounds is a differentiable function of them. Descend
# it, and the graph learns to mix.

# %%
graph = topology.barabasi_albert(N, 2, seed=3)
x = jax.random.normal(jax.random.key(3), (N, 64))


def disagreement_after(edge_weights, rounds=10):
    reverse = topology.reverse_slots(graph)
    symmetric = 0.5 * (edge_weights + edge_weights[reverse])  # the same in both directions
    W = gossip.mixing(graph, symmetric)
    return agents.disagreement(jax.lax.fori_loop(0, rounds, lambda _, y: gossip.mix(W, y), x))


@jax.jit
def train(edge_weights):
    optimizer = optax.adam(0.01)

    def step(carry, _):
        edge_weights, state = carry
        loss, gradient = jax.value_and_grad(disagreement_after)(edge_weights)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(edge_weights, updates), state), loss

    (edge_weights, _), losses = jax.lax.scan(
        step, (edge_weights, optimizer.init(edge_weights)), length=300
    )
    return edge_weights, losses


start = weights.metropolis(graph)
learned, losses = train(start)
print(f"after ten rounds: {losses[0]:.1e} with Metropolis–Hastings, {losses[-1]:.1e} learned")
plotting.curves(
    {"learned weights": np.asarray(losses)[None]},
    xlabel="gradient step",
    ylabel="disagreement after ten rounds",
    title="the graph learns to mix",
    log=True,
).figure

# %% [markdown]
# `topology.weights.fastest_mixing` does this properly. From here: `python experiments/gossip_learning.py --help` runs
# the third stop at any size, `python -m experiments list` shows published systems with claims that can fail, and
# `CONTRIBUTING.md` says how to add your own.
