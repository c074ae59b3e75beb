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
# # Networked actor–critics
#
# Every agent has a reward of its own and nobody adds them up. Can they still learn what is best for
# all? They can if neighbours tell each other **what they believe**: here a ring of agents gets out
# of **a dilemma** that each alone is stuck in, exactly as linear theory says, then **with bits
# missing and a liar among them**, then **with PPO and neural networks**. Two CPU cores, under a
# minute.

# %%
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, envs, gossip, plotting, rl, rollout, simulate, topology
from jaxswarm.gossip import robust
from jaxswarm.rl import networked

# %% [markdown]
# ## 1 · A dilemma on a circle
#
# Give or keep. A gift costs the giver 1 and is worth 3 to the *next* agent, twice as much in the
# better of two states, which gifts make likelier. The game is small enough to be solved: `solve`
# gives the long-run mean reward of any joint policy.

# %%
N = 8
game = networked.dilemma(N)


def everybody_gives(chance):
    policy = np.broadcast_to([1 - chance, chance], (N, game.num_states, 2))
    return networked.solve(game, policy).average


best = everybody_gives(1.0)
plotting.curves(
    {"team": np.array([[everybody_gives(c) for c in np.linspace(0, 1, 11)]])},
    np.linspace(0, 1, 11),
    title="the more give, the better for all",
    xlabel="probability of giving, everybody's",
    ylabel="mean reward of a step",
)

# %% [markdown]
# ## 2 · Alone, on a ring, told
#
# Zhang et al. (2018): every agent keeps a linear critic, and a model of the reward, steps both
# towards what it sees itself, and **averages them with its neighbours**. Actors stay at home. The
# rule of averaging is any `gossip` transformation.

# %%
features = networked.additive_features(game)
ring = gossip.averaging(gossip.mixing(topology.ring(N)))
alone = gossip.identity()
keys = jax.random.split(jax.random.key(0), 5)
STEPS, EVERY = 10_000, 500


def learn(rule, game=game):
    """Team return of every record as a share of the best, `[seeds, records]`."""
    learner = networked.networked_actor_critic(game, features, rule)

    def one(key):
        start = learner.init(jnp.zeros((N, 2, 2)))
        chances = lambda state: jax.nn.softmax(state.actors)  # noqa: E731
        return rollout(learner.step, start, STEPS, key=key, every=EVERY, evaluate=chances)

    policies = np.asarray(jax.jit(jax.vmap(one))(keys)[1].evaluation)
    return np.array([[networked.solve(game, p).average for p in run] for run in policies]) / best


mean_reward = jnp.broadcast_to(game.reward.mean(axis=0), game.reward.shape)
returns = {
    "told the team's reward": learn(alone, game._replace(reward=mean_reward)),
    "a ring": learn(ring),
    "alone": learn(alone),
}
steps = np.arange(EVERY, STEPS + 1, EVERY)
share = "team return, share of the best"
plotting.curves(returns, steps, title="neighbours make a team", xlabel="steps", ylabel=share)

# %% [markdown]
# Nobody was told anybody's reward. Two numbers per neighbour and step of belief were enough.
#
# ## 3 · Why it works: disagreement dies
#
# Averaging over a connected graph shrinks differences by the square of the second eigenvalue of the
# mixing matrix. With learning switched off, the critics do just that.

# %%
still = networked.Rates(critic=0.0, actor=0.0)
graphs = {"ring": topology.ring(N), "exponential": topology.exponential(N)}
shrinking, predicted = {}, {}
for name, graph in graphs.items():
    W = gossip.mixing(graph)
    learner = networked.networked_actor_critic(game, features, gossip.averaging(W), rates=still)
    start = learner.init(jnp.zeros((N, 2, 2)))
    critics = jax.tree.map(lambda x: jax.random.normal(keys[0], x.shape), start.critics)
    spread = lambda state: agents.disagreement(state.critics)  # noqa: E731
    _, records = rollout(
        learner.step, start._replace(critics=critics), 12, key=keys[0], evaluate=spread
    )
    shrinking[name] = np.asarray(records.evaluation)[None]
    rate = float(topology.spectra.second_eigenvalue(W)) ** 2
    predicted[f"{name}: theory"] = shrinking[name][:, :1] * rate ** np.arange(12)[None]
plotting.curves(
    {**shrinking, **predicted},
    np.arange(1, 13),
    log=True,
    title="disagreement of the critics shrinks at the spectral rate",
    xlabel="steps",
    ylabel="disagreement",
)

# %% [markdown]
# ## 4 · Less talk, and a liar
#
# The rule is a value like any other: send 8 bits instead of 32; or let agent 0 tell everybody minus
# four times its critic, and defend.

# %%
crowd = topology.complete(N)
liar = jnp.arange(N) == 0
lie = gossip.attacks.sign_flip(4.0)
everyone = gossip.averaging(gossip.mixing(crowd, "uniform"))
troubles = {
    "8 bits": learn(gossip.compressed(ring, gossip.quantize(8))),
    "a liar, trimmed mean": learn(gossip.attacked(robust.trimmed_mean(crowd, 1), lie, liar)),
    "a liar, plain averaging": learn(gossip.attacked(everyone, lie, liar)),
}
plotting.curves(
    troubles, steps, title="less talk is enough, a liar is not", xlabel="steps", ylabel=share
)

# %% [markdown]
# ## 5 · The same with PPO
#
# The donation game puts the dilemma into a world: who has something may give it to both neighbours,
# and the more is given the more everybody has. `networked_ppo` is PPO in which neighbours average
# critics and reward models; twelve agents, each with networks of its own. Which graph they talk over is a number as well, so
# both trainings are one program.

# %%
M = 12
world = envs.Donations(M)
network = rl.network_for(world, critic="global", widths=(32,))


both = topology.stack([topology.from_edges(np.zeros((0, 2), int), M), topology.ring(M)])
networks = gossip.mixing(both, "metropolis", layout="dense", connected=False)


def train(which):
    learner = networked.networked_ppo(
        world,
        network,
        gossip.averaging(networks[which]),
        num_envs=8,
        num_steps=40,
        minibatches=2,
        parameters=rl.PPOHyperparameters(lr=3e-3, discount=0.9),
    )
    start_key, world_key, run_key = jax.random.split(jax.random.key(1), 3)
    start = learner.init(networked.networked_parameters(start_key, network, M), world_key)
    return rollout(learner.step, start, 40, key=run_key)


trained, records = jax.jit(jax.vmap(train))(jnp.arange(2))
earned = dict(zip(("alone", "a ring"), np.asarray(records.info.ppo.reward), strict=True))
left, right = np.ravel(plotting.panels(1, 2, width=5.0, height=4.0))
plotting.curves(
    {name: rewards[None] for name, rewards in earned.items()},
    title="team reward while learning",
    xlabel="iterations of PPO",
    ylabel="mean reward of a step",
    ax=left,
)
act = rl.policy(network, shared=False)
seen = jax.jit(lambda p: envs.unroll(jax.random.key(2), world, act, 20, params=p, keep_states=True))
_, lived = seen(jax.tree.map(lambda x: x[1], trained.learner.params))
world.render(jax.tree.map(lambda x: x[-1], lived.state), ax=right)

# %% [markdown]
# ## 6 · A rule of your own
#
# A rule is a pair of pure functions: what to remember, and what to make of what one hears. Here is
# a lazy one: **listen to one neighbour a round, at random**.


# %%
def one_neighbor(W):
    near = (W.dense() > 0) & ~jnp.eye(N, dtype=bool)

    def mix(key, params, state, exchange):
        told = exchange.sent(params)
        heard = jax.random.categorical(key, jnp.where(near, 0.0, -jnp.inf), axis=1)
        params = jax.tree.map(lambda x, t: (x + t[heard]) / 2, params, told)
        sent = jnp.float32(N)
        return params, state, gossip.Traffic(sent, sent * agents.message_size(params)[1])

    return gossip.GossipTransformation(lambda params: (), mix, supports={"messages"})


mine = learn(one_neighbor(gossip.mixing(topology.ring(N))))
plotting.curves(
    {"a ring": returns["a ring"], "one neighbour a round": mine, "alone": returns["alone"]},
    steps,
    title="hearing one neighbour a round will do",
    xlabel="steps",
    ylabel=share,
)

# %% [markdown]
# ## 7 · Stop and go on
#
# `simulate` drives a learner from the host, with a progress bar and checkpoints. A run that was
# stopped and taken up again equals one that never stopped, to the bit: actors, critics, and what is
# on its way between neighbours, who here hear everything three steps late.

# %%
slow = networked.networked_actor_critic(game, features, gossip.delayed(ring, 3))
start = slow.init(jnp.zeros((N, 2, 2)))
run = {"key": jax.random.key(5), "progress": False}
whole, _ = simulate(slow.step, start, 600, **run)
with tempfile.TemporaryDirectory() as folder:
    simulate(slow.step, start, 250, checkpoint=folder, **run)
    resumed, _ = simulate(slow.step, start, 600, checkpoint=folder, resume=True, **run)
equal = jax.tree.map(lambda a, b: bool((a == b).all()), whole, resumed)
{
    "resumed exactly": all(jax.tree.leaves(equal)),
    "ring": round(float(returns["a ring"][:, -1].mean()), 2),
    "alone": round(float(returns["alone"][:, -1].mean()), 2),
}

# %% [markdown]
# ## Where to go from here
#
# * `python -m experiments reproduce networked_actor_critic`: all arms, seeds and verdicts.
# * `networked.networked_sac` is the same around soft actor–critic.
# * `rl.ppo`, `rl.sac`, `stac.stac`, `symphony.symphony` for one agent or many; a learner is an
#   `Algorithm(init, step)`, and vmaps over seeds, hyper-parameters and agents.
