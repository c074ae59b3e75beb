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
# # Networks and serving
#
# What is under the agents: **which pairs of peers connect at all** behind address translators, how
# **learning** fares on such a network, how a peer **finds** another one among thousands, how
# **replicated data** agree after a partition, and the same averaging **over real sockets**
# (Lattica). Then a question that every node of such a network has: **how to serve a model**, chosen
# from past measurements without a trial run (MetaInf). All sizes are tiny, so single figures here
# prove nothing about the methods; the experiments at the end compare them with seeds and intervals.

# %%
import os

# Programs here are small and run once: with less optimization they compile sooner.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, data, gossip, learning, models, network, plotting, simulate, topology
from jaxswarm.network import crdt, dht, node, transport
from jaxswarm.systems import meta_inf

# %% [markdown]
# ## 1 · Which pairs connect
#
# Most peers are behind a NAT, a router that lets a packet in only if its rules (RFC 4787: *mapping*
# and *filtering*) say so. Two peers behind NATs can *punch holes*: both send at the same time, and
# each one's packet opens the way for the other's. That fails if both sides choose a new port for
# each destination, and then a *relay* must carry the traffic. Here a connection is never a coin
# toss: it follows from the rules of both NATs. We draw peers, and ask for every pair which means
# suffices.

# %%
mixes = {
    "documented": transport.MIX,
    "fewer symmetric": {"full_cone": 0.3, "port_restricted": 0.5, "symmetric": 0.2},
    "carrier-grade": {"full_cone": 0.1, "port_restricted": 0.4, "symmetric": 0.5},
}
first, second = np.triu_indices(300, 1)
ladder = {}
for name, mix in mixes.items():
    shares = {"public": 0.2, **{kind: 0.8 * share for kind, share in mix.items()}}
    peers = transport.peers(jax.random.key(0), 300, nat=shares, upnp=0.2)
    ladder[name] = [
        float(transport.connects(peers, first, second, level).mean()) for level in transport.LEVELS
    ]

ax = plotting.panels(1, 1, width=7.5, height=2.8)[0, 0]
rungs = ("dialed, public", "+ UPnP", "+ hole punching", "+ relay")
for rung, label in enumerate(rungs):
    total = np.array([shares[rung] for shares in ladder.values()])
    below = np.array([shares[rung - 1] if rung else 0.0 for shares in ladder.values()])
    ax.barh(list(ladder), total - below, left=below, color=plotting.PALETTE[rung], label=label)
ax.set_xlim(0, 1)
ax.legend(frameon=False, fontsize=9, ncols=4, loc="upper center", bbox_to_anchor=(0.45, -0.3))
plotting.titles(ax, "How pairs connect, by mix of NATs", "share of the pairs", "")
ax.figure

# %% [markdown]
# ## 2 · Learning over it
#
# `transport.links` connects the edges of a graph, and `transport.over` makes a *network process* of
# them, which every gossip rule and learner takes: messages arrive if the link stands and they come
# in time. Sixteen agents learn digits; each holds images of a few digits only.

# %%
split = data.load("digits")
shards = data.shards(
    split.train, data.dirichlet_over_agents(split.train.labels, 16, alpha=0.2, seed=2)
)
model = models.functional(models.mlp(32, 10), split.train.features[:1])
params = agents.initialize(jax.random.key(1), model.init, 16, shared=True)
graph = topology.random_regular(16, 4, seed=0)
earth = transport.regions([[0.01, 0.09, 0.18], [0.09, 0.01, 0.24], [0.18, 0.24, 0.01]])
nat = {"public": 0.1, "full_cone": 0.2, "port_restricted": 0.35, "symmetric": 0.35}
peers = transport.peers(jax.random.key(4), 16, nat=nat, regions=3)

runs = {}
for label, level in (
    ("no traversal", "none"),
    ("hole punching", "hole_punching"),
    ("and relays", "relay"),
):
    links = transport.links(jax.random.key(5), graph, peers, earth, level=level, message_bytes=1e4)
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.2),
        gossip=gossip.averaging(gossip.mixing(graph)),
        sample=data.minibatches(16),
        network=transport.over(links, round_seconds=1.0, loss=0.01),
    )
    _, runs[label] = simulate(
        learner.step,
        learner.init(params),
        120,
        key=jax.random.key(2),
        inputs=shards,
        every=10,
        evaluate=learning.evaluation(model, split.test),
        progress=False,
    )

plotting.curves(
    {name: run.evaluation.accuracy.T for name, run in runs.items()},
    runs["and relays"].round,
    ylabel="test accuracy",
    title="Median agent and the middle half, by what the network can do",
)

# %%
accuracy = {name: float(run.evaluation.accuracy[-1].mean()) for name, run in runs.items()}

# %% [markdown]
# ## 3 · Finding one peer among thousands
#
# In *Kademlia* every peer has a random number and knows a few others at each distance; a search
# asks ever closer peers. Thousands of searches are one `vmap`. Small buckets make the growth
# visible: about as many more rounds for every doubling.

# %%
sizes = (64, 512, 4096)
rounds = []
for size in sizes:
    keys = jax.random.split(jax.random.key(size), 4)
    table = dht.routing_table(keys[0], dht.random_ids(keys[1], size), k=4)
    starts = jax.random.randint(keys[2], (200,), 0, size)
    search = dht.lookup(table, dht.random_ids(keys[3], 200), starts)
    rounds.append(float(search.rounds.mean()))

ax = plotting.panels(1, 1, width=5.5, height=3.2)[0, 0]
ax.plot(np.log2(sizes), rounds, "o-", color=plotting.PALETTE[0])
ax.set_ylim(bottom=0)
plotting.titles(ax, "Rounds of a search, mean of 200", "log₂ of the number of peers", "rounds")
ax.figure

# %% [markdown]
# ## 4 · Agreeing after a partition
#
# A *replicated* register may be written anywhere at any time; replicas exchange and merge what they
# have (anti-entropy, an ordinary gossip rule). Merging is commutative, associative and idempotent,
# so that nothing needs a leader. Here the graph is cut in two halves for 15 rounds, and in each half
# one replica writes at the same time by its clock. The **tie-break** on equal times is what makes
# the last write the same everywhere: without it, replicas never agree.

# %%
ring = topology.random_regular(32, 4, seed=1)
halves = jnp.arange(32) >= 16
cut = network.partitioned(ring, halves, at=0, heals=15)


def agreement(tie_break, rounds=30):
    register = crdt.lww_register(0.0, tie_break=tie_break)
    rule = crdt.anti_entropy(register, ring)
    time = crdt.tick(crdt.clock(), 7)

    def write(state, writer):
        return register.write(state, jnp.float32(writer), time, writer)

    states = crdt.replicas(register, 32)
    written = jax.vmap(write)(states, jnp.arange(32))
    is_writer = (jnp.arange(32) == 3) | (jnp.arange(32) == 29)
    states = agents.where(is_writer, written, states)

    def step(states, index):
        key = jax.random.fold_in(jax.random.key(0), index)
        _, exchange = cut.step(key, cut.init(), index)
        states, _, _ = rule.mix(key, states, (), exchange)
        return states, crdt.agreement(states)

    return jax.lax.scan(step, states, jnp.arange(rounds))[1]


agreed = {"with tie-break": agreement(True), "without": agreement(False)}
ax = plotting.panels(1, 1, width=5.5, height=3.2)[0, 0]
for color, (name, values) in enumerate(agreed.items()):
    ax.plot(np.arange(1, 31), values, color=plotting.PALETTE[color], label=name)
ax.axvspan(0, 15, color="#DDDDDD", zorder=0)
ax.text(0.5, 1.08, "partition", va="top", fontsize=9)
ax.set_ylim(0, 1.1)
ax.legend(frameon=False, loc="lower right")
plotting.titles(ax, "Replicas in the largest group that agrees", "round", "share")
ax.figure

# %% [markdown]
# ## 5 · The same over sockets
#
# `network.node.Node` does a gossip round over TCP, with no collective operation: a slow or dead node
# does not stop the others. Usually each is a process of its own, here four are one process. Each
# holds one number; every round it sends its number to two neighbours and averages what has come.

# %%
values = [np.array([float(number)], np.float32) for number in range(4)]
nodes = [node.Node(number, [values[number]], {}) for number in range(4)]
for own in nodes:
    for step in (1, 3):
        other = nodes[(own.number + step) % 4]
        own.add_peer(other.number, "127.0.0.1", other.port)
for _ in range(12):
    for own in nodes:
        own.send([values[own.number]])
    for own in nodes:
        own.wait(2)
    values = [own.mix([values[own.number]])[0] for own in nodes]
for own in nodes:
    own.close()
spread = float(np.ptp(values))

# %% [markdown]
# ## 6 · How to serve a model
#
# A cache of keys and values, reuse of a common prefix, batches in flight, 8-bit weights: which of
# them is fastest depends on device, model and workload. MetaInf learns it from past cells of such a
# table, and chooses once for a device that it has never seen. The table here comes from a roofline
# model with queues (`meta_inf.measure_cells` times real serving instead).

# %%
world = meta_inf.draw_world(0, num_devices=8)
cells = meta_inf.simulate_cells(
    world.devices, world.models, world.workloads, world.efficiencies, meta_inf.PORTFOLIO
)
given = meta_inf.features(cells)
scores = meta_inf.held_out_scores(meta_inf.SELECTORS["gradient boosting"], cells, given, seed=0)
best, chosen = cells.seconds.argmin(axis=1), scores.argmin(axis=1)
static = np.log(cells.seconds).mean(axis=0).argmin()  # one method for all
slower = {
    "chosen": float((cells.seconds[np.arange(len(best)), chosen] / cells.seconds.min(1)).mean()),
    "one method for all": float((cells.seconds[:, static] / cells.seconds.min(1)).mean()),
}

left, right = plotting.panels(1, 2, width=5.6, height=3.6)[0]
order = np.argsort(-np.bincount(best, minlength=len(cells.methods)))
for offset, (name, picks) in enumerate({"fastest": best, "chosen": chosen}.items()):
    share = np.bincount(picks, minlength=len(cells.methods)) / len(picks)
    left.barh(np.arange(len(order)) + 0.4 * offset - 0.2, share[order], 0.38, label=name)
left.set_yticks(range(len(order)), [cells.methods[i] for i in order])
left.invert_yaxis()
left.legend(frameon=False, loc="lower right")
plotting.titles(left, "How often a method is fastest, and chosen", "share of the cells", "")
right.barh(list(slower), list(slower.values()), color=plotting.PALETTE[0])
plotting.titles(right, "Devices left out in turn", "time relative to the fastest method, mean", "")
left.figure

# %%
{
    "pairs connected, no traversal and hole punching": tuple(
        round(ladder["documented"][rung], 2) for rung in (0, 2)
    ),
    "accuracy without traversal and with relays": (
        round(accuracy["no traversal"], 2),
        round(accuracy["and relays"], 2),
    ),
    "rounds of a search among 64 and 4096": (round(rounds[0], 1), round(rounds[-1], 1)),
    "replicas agree with and without tie-break": tuple(
        round(float(x[-1]), 2) for x in agreed.values()
    ),
    "spread of four nodes": round(spread, 4),
    "slower than the fastest, chosen and one for all": tuple(round(x, 2) for x in slower.values()),
}

# %% [markdown]
# ## From here
#
#     python -m experiments reproduce lattica meta_inf --scale small
#
# * `transport.links(…)` with your own table of round trips, `transport.peers(nat=…)` with your own
#   mix; `node.Node` on several hosts takes a shared `secret`.
# * `meta_inf.fit(cells).choose(workload, model, device, budget)` with your own measurements
#   (`meta_inf.table`) answers for a new device.
# * Which controls fail as they should, what each paper claims and what was found:
#   `results/REPRODUCTION.md`.
