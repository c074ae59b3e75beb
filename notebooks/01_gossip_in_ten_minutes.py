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
# # Gossip in ten minutes
#
# 64 agents, each with its own model and its own data. There is no server: each agent exchanges
# parameters with a few neighbours only. Can they learn together what none could learn alone?
#
# Five steps: **the graph** → **averaging by gossip** → **learning** → **a gossip rule of your own** →
# **a gradient through the whole network**. All of it runs on two CPU cores in about a minute.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, data, gossip, learning, models, plotting, rollout, simulate, topology

# %% [markdown]
# ## 1 · The communication graph
#
# A *topology* is a graph over `N` agents, kept as arrays: edge `e` carries messages from `senders[e]`
# to `receivers[e]`. Families have their usual names, and any networkx graph will do as well
# (`topology.from_networkx`).

# %%
N = 64
graphs = {
    "ring": topology.ring(N),
    "torus": topology.torus(8, 8),
    "exponential": topology.exponential(N),
}
{name: f"{graph.num_edge_slots} directed edges" for name, graph in graphs.items()}

# %% [markdown]
# ## 2 · Averaging by gossip
#
# In a gossip round every agent replaces its parameters by a weighted average of its own and those
# it receives from its in-neighbours: $x \leftarrow W x$. The weights are held by a *mixing operator*
# `W`. It becomes an $N \times N$ matrix only on request: on a ring, `mix` is two shifts and a sum.

# %%
W = {name: gossip.mixing(graph) for name, graph in graphs.items()}

np.asarray(gossip.mixing(topology.ring(5)).dense()).round(2)  # a small one, to look at

# %% [markdown]
# Rows sum to one, so agreement is a fixed point. Columns do too, so the average over all agents
# never changes.
#
# Now agent 0 holds 1 and all others 0, for ten rounds. A round is an ordinary JAX function of an
# array, or of any pytree whose leaves lead with the agents.


# %%
def after(rounds, W):
    x = jnp.zeros(N).at[0].set(1.0)
    return jax.lax.fori_loop(0, rounds, lambda _, x: gossip.mix(W, x), x)


panels = plotting.panels(1, 3, width=3.6, height=3.3)
for ax, (name, graph) in zip(panels[0], graphs.items(), strict=True):
    plotting.graph(graph, N * after(10, W[name]), limits=(0, 3), title=name, ax=ax)
panels[0, 0]

# %% [markdown]
# A value of 1 means that the agent holds the average (times `N`). On the ring the information is still
# local after ten rounds. On the exponential graph, where agent `i` receives from `i + 1, + 2, + 4, + 8, …`,
# all agents hold the average.
#
# How fast is it? Disagreement shrinks at least by the factor $|\lambda_2|^2$ a round, where
# $\lambda_2$ is the second-largest eigenvalue of `W`. `topology.spectra` computes it without
# simulation. We compare the simulation with it.


# %%
def spread(W, start, rounds=60):
    def step(x, _):
        return gossip.mix(W, x), agents.disagreement(x)

    return jax.lax.scan(step, start, length=rounds)[1]


start = jax.random.normal(jax.random.key(0), (N, 100))
curves = {name: spread(W[name], start) for name in graphs}
plotting.disagreement(curves, title="the same random start, mixed on three graphs")

# %%
slowest = {name: topology.spectra.second_modulus(graph) for name, graph in graphs.items()}
left = {name: float(curve[20] / curve[0]) for name, curve in curves.items()}
{name: f"20 rounds leave {left[name]:.0e}, at most {slowest[name] ** 40:.0e}" for name in graphs}

# %% [markdown]
# ## 3 · Learning
#
# Now the exchanged parameters are those of neural networks. We partition scikit-learn's handwritten
# digits over the 64 agents, 22 images each on average and so unevenly that an agent typically has
# no example of four or five of the ten digits.

# %%
split = data.load("digits")
partition = data.dirichlet_over_agents(split.train.labels, N, alpha=0.3, seed=1)
shards = data.shards(split.train, partition)

plotting.heatmap(
    partition.class_counts(split.train.labels)[:8],
    rows=[f"agent {i}" for i in range(8)],
    columns=[str(digit) for digit in range(10)],
    format=".0f",
    title="number of images of each digit, first eight agents",
)

# %% [markdown]
# A *learner* combines **a loss, an optimizer and a gossip rule**. Any loss of one agent, any optax
# optimizer and any gossip rule can be combined. `gossip.identity()` is the control: isolated agents.

# %%
model = models.functional(models.mlp(32, 10), split.train.features[:1])
params = agents.initialize(jax.random.key(1), model.init, N, shared=True)
evaluate = learning.evaluation(model, split.test)


def learn(rule, rounds=200):
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.2),
        gossip=rule,
        sample=data.minibatches(16),
    )
    _, records = simulate(
        learner.step,
        learner.init(params),
        rounds,
        key=jax.random.key(2),
        inputs=shards,
        every=10,
        evaluate=evaluate,
        progress=False,
    )
    return records


runs = {
    "exponential": learn(gossip.averaging(W["exponential"])),
    "ring": learn(gossip.averaging(W["ring"])),
    "isolated": learn(gossip.identity()),
}

# %%
plotting.curves(
    {name: run.evaluation.accuracy.T for name, run in runs.items()},
    runs["ring"].round,
    ylabel="test accuracy",
    title="median agent, and the middle half of all agents",
)

# %% [markdown]
# Each of these runs is one compiled program: 64 networks, their minibatches and their gossip. An
# isolated agent recognizes the digits it holds and little else. With gossip, agents recognize digits
# of which they *have no example*: only parameters are exchanged, not data.
#
# Which agents are least accurate? Colour the ring by accuracy.

# %%
last_on_ring = runs["ring"].evaluation.accuracy[-1].min()
best_isolated = runs["isolated"].evaluation.accuracy[-1].max()
plotting.graph(
    graphs["ring"],
    runs["ring"].evaluation.accuracy[-1],
    label="final accuracy",
    title=f"lowest on the ring: {last_on_ring:.2f}, highest of isolated agents: {best_isolated:.2f}",
)

# %% [markdown]
# ## 4 · A gossip rule of your own
#
# A rule is a pair of pure functions, like an optax optimizer: `init(params)` makes the state that the
# rule keeps, and `mix(key, params, state, exchange)` returns new parameters, the new state and the
# traffic of the round.
#
# This one is not in the library: **event-triggered gossip**. An agent broadcasts its model when it
# has moved by more than `threshold` since its last broadcast; otherwise it sends nothing, and its
# neighbours go on with its last broadcast. Adding `W @ sent - sent` to the parameters keeps the average
# exact in either case.


# %%
def event_triggered(W, threshold):
    def mix(key, params, sent, exchange):
        change, _ = agents.ravel(jax.tree.map(jnp.subtract, params, sent))
        sends = jnp.linalg.norm(change, axis=1) > threshold
        sent = agents.where(sends, params, sent)
        received = gossip.mix(W, sent)
        params = jax.tree.map(lambda x, r, s: x + r - s, params, received, sent)
        messages = W.num_messages() * sends.mean()
        return params, sent, gossip.traffic_of(messages, params)

    return gossip.GossipTransformation(lambda params: params, mix)


# %% [markdown]
# That is all. It trains, it is recorded, it counts bytes, and it runs on ten thousand agents or inside
# the library's wrappers (`gossip.compressed`, `gossip.scheduled`, `gossip.delayed`).

# %%
runs["event-triggered"] = learn(event_triggered(W["exponential"], threshold=0.5))

shown = ["exponential", "event-triggered"]
plotting.curves(
    {name: runs[name].evaluation.accuracy.T for name in shown},
    {name: runs[name].evaluation.megabytes for name in shown},
    xlabel="megabytes sent by all agents",
    ylabel="accuracy",
    title="the same accuracy for fewer bytes",
)

# %%
last = {name: jax.tree.map(lambda x: x[-1], runs[name].evaluation) for name in shown}
{name: f"{m.accuracy.mean():.3f} for {m.megabytes:.0f} MB" for name, m in last.items()}

# %% [markdown]
# ## 5 · A gradient through the whole network
#
# Because everything is a pure function, everything has a gradient: also *the final disagreement*
# with respect to *the weight of every edge*. Take three clusters of five agents, complete inside, and
# one bridge between any two of them. The textbook weights (Metropolis–Hastings) treat a bridge like
# any other edge.
#
# We start from random values, gossip for twenty rounds, and differentiate the final disagreement with
# respect to every edge weight. Both directions of an edge share one weight, which keeps the average;
# nothing else is imposed.

# %%
clusters = topology.cluster(3, 5)
opposite = topology.reverse_slots(clusters)
values = jax.random.normal(jax.random.key(3), (clusters.num_agents, 256))


def gossiped(weights, x, rounds=20):
    W = gossip.mixing(clusters, weights, layout="dense")
    return jax.lax.fori_loop(0, rounds, lambda _, x: gossip.mix(W, x), x)


def symmetric(weights):
    return (weights + weights[opposite]) / 2


@jax.value_and_grad
def log_disagreement(weights):
    return jnp.log(agents.disagreement(gossiped(symmetric(weights), values)))


# %% [markdown]
# A hundred and fifty steps of Adam are one more simulation. `rollout` is `simulate` as a pure
# function.

# %%
adam = optax.adam(0.01)


def descend(key, carry, _):
    weights, opt_state = carry
    value, grads = log_disagreement(weights)
    updates, opt_state = adam.update(grads, opt_state)
    return (optax.apply_updates(weights, updates), opt_state), jnp.exp(value)


metropolis = topology.weights.metropolis(clusters)
begin = metropolis, adam.init(metropolis)
(weights, _), steps = rollout(descend, begin, 150, key=jax.random.key(4))
learned = symmetric(weights)

plotting.disagreement(
    {"learned": steps.info},
    xlabel="gradient step",
    title="disagreement after twenty rounds of gossip",
)

# %% [markdown]
# What are the learned weights? Below, the width of an edge is its weight, relative to the largest in
# its picture, and colour is the value of each agent after the twenty rounds, if the first cluster starts
# with 1 and the other two with 0. The average is a third.

# %%
first_cluster = (jnp.arange(clusters.num_agents) < 5).astype(jnp.float32)
panels = plotting.panels(1, 2, width=4.6, height=4.0)
for ax, (name, w) in zip(
    panels[0], {"Metropolis": metropolis, "learned": learned}.items(), strict=True
):
    share = gossiped(w, first_cluster)
    plotting.graph(clusters, share, edges=w, limits=(0, 2 / 3), cmap="RdYlBu_r", title=name, ax=ax)
panels[0, 0]

# %% [markdown]
# The weights inside the clusters become small next to those of the bridges, and each cluster weighs its
# agent at the bridge most. This is not special to the values it was trained on: here are new ones, and
# beside the learned weights those that minimize $|\lambda_2|$, the asymptotic rate. We asked for the best
# after twenty rounds, and got it.

# %%
fresh = jax.random.normal(jax.random.key(5), values.shape)
candidates = {
    "metropolis": metropolis,
    "fastest_mixing": topology.weights.edge_weights(clusters, "fastest_mixing"),
    "learned": learned,
}
{name: f"{agents.disagreement(gossiped(w, fresh)):.2f}" for name, w in candidates.items()}

# %% [markdown]
# ## Where to go from here
#
# * `python experiments/gossip_learning.py --help`: section 3 at any size, on your data, with
#   checkpoints that survive `kill -9`.
# * `python -m experiments list`: published systems, each with claims that can fail.
# * `simulate(..., checkpoint="runs/mine", resume=True)` for long runs; `jaxswarm.rollout` to
#   `vmap` whole runs over seeds.
# * `docs/methods.md`: every method under its usual name; CONTRIBUTING.md: how to add a gossip rule, a
#   learner or an experiment.
