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
# A crowd of agents. Each has its own model and its own data, nobody is in charge, and each can
# talk to a few neighbours only. Can they learn together what none of them could learn alone?
#
# We go there in five steps: **who talks to whom** → **how a rumour spreads** → **learning** → **a
# gossip rule of your own** → **a gradient through the whole network**. Everything is real, and
# all of it runs on two CPU cores in less than a minute.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, data, gossip, learning, models, plotting, rollout, simulate, topology

# %% [markdown]
# ## 1 · Who talks to whom
#
# A *topology* is a graph over `N` agents, kept as arrays: edge `e` says that `receivers[e]` hears
# `senders[e]`. Families are called by their usual names, and any networkx graph will do as well
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
# ## 2 · How a rumour spreads
#
# In a round of gossip everyone replaces what it holds by a weighted average of what it hears,
# itself included: $x \leftarrow W x$. The weights sit in a *mixing operator* `W`. It never
# becomes an $N \times N$ matrix unless you ask: on a ring, `mix` is two shifts and a sum.

# %%
W = {name: gossip.mixing(graph) for name, graph in graphs.items()}

np.asarray(gossip.mixing(topology.ring(5)).dense()).round(2)  # a small one, to look at

# %% [markdown]
# Rows sum to one, so agreement is never destroyed. Columns do too, so the average of the crowd
# never moves.
#
# Now agent 0 learns a secret (it holds 1, all others 0) and we let it travel for ten rounds. A
# round is an ordinary JAX function of an ordinary array, or of any pytree whose leaves lead with
# the agents.


# %%
def after(rounds, W):
    secret = jnp.zeros(N).at[0].set(1.0)
    return jax.lax.fori_loop(0, rounds, lambda _, x: gossip.mix(W, x), secret)


panels = plotting.panels(1, 3, width=3.6, height=3.3)
for ax, (name, graph) in zip(panels[0], graphs.items(), strict=True):
    plotting.graph(graph, N * after(10, W[name]), limits=(0, 3), title=name, ax=ax)
panels[0, 0]

# %% [markdown]
# A colour of 1 means “knows exactly as much as is fair”. On the ring the news is still a local
# affair. On the exponential graph, where agent `i` hears `i + 1, + 2, + 4, + 8, …`, everybody has
# heard all of it.
#
# How fast is fast? Disagreement shrinks at least by the factor $|\lambda_2|^2$ a round, where
# $\lambda_2$ is the second largest eigenvalue of `W`. The library knows it without simulating
# anything (`topology.spectra`). Let us hold the simulation against it.


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
# Now the numbers that travel are neural networks. We deal scikit-learn's handwritten digits to
# the 64 agents, 22 each on average and so unevenly that an agent typically has not a single
# example of four or five of the ten digits.

# %%
split = data.load("digits")
partition = data.dirichlet_over_agents(split.train.labels, N, alpha=0.3, seed=1)
shards = data.shards(split.train, partition)

plotting.heatmap(
    partition.class_counts(split.train.labels)[:8],
    rows=[f"agent {i}" for i in range(8)],
    columns=[str(digit) for digit in range(10)],
    format=".0f",
    title="how many of each digit the first eight agents have",
)

# %% [markdown]
# A *learner* is a sentence: **this loss, that optimiser, this way of gossiping**. Any loss of one
# agent, any optax optimiser and any gossip rule go together. `identity()` is the control: everyone
# for itself.

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
    "alone": learn(gossip.identity()),
}

# %%
plotting.curves(
    {name: run.evaluation.accuracy.T for name, run in runs.items()},
    runs["ring"].round,
    ylabel="accuracy on digits nobody has seen",
    title="the median agent, and the middle half of all",
)

# %% [markdown]
# Each of these runs is one compiled program: 64 networks, their minibatches, their gossip. Alone,
# an agent recognises what it owns and little else. Together, they recognise digits of which they
# *never had a single example*: what travels is not data but what others have made of theirs.
#
# Who does worst? Colour the ring by accuracy and look.

# %%
last_on_ring = runs["ring"].evaluation.accuracy[-1].min()
best_alone = runs["alone"].evaluation.accuracy[-1].max()
plotting.graph(
    graphs["ring"],
    runs["ring"].evaluation.accuracy[-1],
    label="final accuracy",
    title=f"the last on the ring: {last_on_ring:.2f}, the best alone: {best_alone:.2f}",
)

# %% [markdown]
# ## 4 · A gossip rule of your own
#
# A rule is a pair of pure functions, like an optax optimiser: `init(params)` makes what the rule
# remembers, and `mix(key, params, state, exchange)` returns new parameters, new memory and the
# traffic it caused.
#
# Here is one that the library does not have: **speak only when you have news**. An agent
# broadcasts its model when it has moved by more than `threshold` since its last broadcast;
# otherwise it stays silent and its neighbours go on with the last thing they heard. Adding `W @
# told - told` to what one holds keeps the crowd's average exact, silent or not.


# %%
def when_there_is_news(W, threshold):
    def mix(key, params, told, exchange):
        words = exchange.sent(params)
        news, _ = agents.ravel(jax.tree.map(jnp.subtract, words, told))
        speaks = jnp.linalg.norm(news, axis=1) > threshold
        told = agents.where(speaks, words, told)
        heard = gossip.mix(W, told)
        params = jax.tree.map(lambda x, h, t: x + h - t, params, heard, told)
        sent = W.num_messages() * speaks.mean()
        return params, told, gossip.Traffic(sent, sent * agents.message_size(params)[1])

    return gossip.GossipTransformation(lambda params: params, mix, supports={"messages"})


# %% [markdown]
# That is all. It trains, it records, it counts bytes, it would run on ten thousand agents or
# inside the library's wrappers (`gossip.compressed`, `gossip.scheduled`, `gossip.delayed`).

# %%
runs["only news"] = learn(when_there_is_news(W["exponential"], threshold=0.5))

shown = ["exponential", "only news"]
plotting.curves(
    {name: runs[name].evaluation.accuracy.T for name in shown},
    {name: runs[name].evaluation.megabytes for name in shown},
    xlabel="megabytes sent by all agents",
    ylabel="accuracy",
    title="the same learning for less talk",
)

# %%
last = {name: jax.tree.map(lambda x: x[-1], runs[name].evaluation) for name in shown}
{name: f"{m.accuracy.mean():.3f} for {m.megabytes:.0f} MB" for name, m in last.items()}

# %% [markdown]
# ## 5 · A gradient through the whole network
#
# Because everything is a pure function, everything has a gradient: also *how the crowd ends* with
# respect to *how loudly each neighbour is heard*. Take three villages, everybody talking to
# everybody inside, and one road between any two of them. The textbook weights
# (Metropolis–Hastings) treat a road like any alley.
#
# We start from random opinions, gossip for twenty rounds, and differentiate the final
# disagreement with respect to every edge weight. Both directions of an edge share one weight,
# which keeps the crowd's average; nothing else is imposed.

# %%
villages = topology.cluster(3, 5)
opposite = topology.reverse_slots(villages)
opinions = jax.random.normal(jax.random.key(3), (villages.num_agents, 256))


def gossiped(weights, x, rounds=20):
    W = gossip.mixing(villages, weights, layout="dense")
    return jax.lax.fori_loop(0, rounds, lambda _, x: gossip.mix(W, x), x)


def symmetric(weights):
    return (weights + weights[opposite]) / 2


@jax.value_and_grad
def log_disagreement(weights):
    return jnp.log(agents.disagreement(gossiped(symmetric(weights), opinions)))


# %% [markdown]
# A hundred and fifty steps of Adam are one more simulation. `rollout` is `simulate` as a pure
# function.

# %%
adam = optax.adam(0.01)


def descend(key, carry, _):
    weights, memory = carry
    value, slope = log_disagreement(weights)
    change, memory = adam.update(slope, memory)
    return (optax.apply_updates(weights, change), memory), jnp.exp(value)


metropolis = topology.weights.metropolis(villages)
begin = metropolis, adam.init(metropolis)
(weights, _), steps = rollout(descend, begin, 150, key=jax.random.key(4))
learned = symmetric(weights)

plotting.disagreement(
    {"learned": steps.info},
    xlabel="gradient step",
    title="how far apart twenty rounds of gossip leave the crowd",
)

# %% [markdown]
# What has it found out? Below, thickness is weight, next to the loudest of its picture, and colour
# is what everyone holds after the twenty rounds, if the first village starts with 1 and the other
# two with 0. A fair share is a third.

# %%
first_village = (jnp.arange(villages.num_agents) < 5).astype(jnp.float32)
panels = plotting.panels(1, 2, width=4.6, height=4.0)
for ax, (name, w) in zip(
    panels[0], {"Metropolis": metropolis, "learned": learned}.items(), strict=True
):
    share = gossiped(w, first_village)
    plotting.graph(villages, share, edges=w, limits=(0, 2 / 3), cmap="RdYlBu_r", title=name, ax=ax)
panels[0, 0]

# %% [markdown]
# Next to the roads, the chatter inside the villages falls silent, and each village listens to the
# one among them who lives by the road. That is no trick of the opinions it was trained on: here are
# new ones, and beside ours the weights that theory calls fastest. Those minimise $|\lambda_2|$, the
# rate in the very long run; we asked for the best after twenty rounds, and got it.

# %%
fresh = jax.random.normal(jax.random.key(5), opinions.shape)
candidates = {
    "metropolis": metropolis,
    "fastest_mixing": topology.weights.edge_weights(villages, "fastest_mixing"),
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
# * CONTRIBUTING.md: where to put a gossip rule, a learner or an experiment of yours.
