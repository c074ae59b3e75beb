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
# # Language agents
#
# Language models that learn from one another need questions whose answers can be checked. This
# notebook **trains a small transformer** on such questions, improves it by **reinforcement learning
# with verified rewards** (GRPO), lets **a swarm share its responses** (SAPO), has **models judge one
# another's answers** (Fortytwo), and ends with **a model of your own** behind the OpenAI protocol.
# The transformers have 14 thousand parameters, so that two CPU cores need less than a minute.

# %%
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxswarm as js
from jaxswarm import agents, language, plotting, topology
from jaxswarm.data import verifiable
from jaxswarm.models import transformer
from jaxswarm.systems import fortytwo, sapo

# %% [markdown]
# ## 1 · A task with verified answers, and a model
#
# A task draws questions with worked solutions; the last line of a solution is the answer. Here: sums
# of three digits, one addition a line. Demonstrations are wrong in a quarter of the cases, as data
# from elsewhere may be. `fine_tune` stops at a wanted pass rate: the share of responses, sampled at
# temperature 1, whose last line is right.

# %%
task = verifiable.chain_sums(3)
tokens = verifiable.tokenizer()
items = verifiable.draw_items(task, 900, seed=0, distinct=True)
[(item.question, item.solution) for item in items[:3]]

# %%
LENGTH, NEWLINE = 6, tokens.token("\n")
train, held_out = items[:800], items[800:]
demonstrations = verifiable.to_arrays(verifiable.with_mistakes(train, 0.25, seed=1)[0], tokens)
questions, test = (verifiable.to_arrays(part, tokens) for part in (train, held_out))
questions, test = jax.tree.map(jnp.asarray, (questions, test))
model = transformer.from_config(transformer.Config(tokens.vocab_size, width=32, num_layers=1))
base = language.fine_tune(
    jax.random.key(0),
    model,
    model.init(jax.random.key(1)),
    demonstrations,
    test,
    target=0.2,
    separator=NEWLINE,
    max_new_tokens=LENGTH,
)
base.num_steps, base.pass_rates.round(2).tolist()

# %% [markdown]
# ## 2 · Reinforcement learning with verified rewards
#
# GRPO samples a group of responses to each question, rewards those whose answer is right, and moves
# the model towards what was better than the group's mean. No demonstration is needed any more: the
# verifier is enough. A group that is all right or all wrong has no gradient; its share is what
# makes rare success hard to learn from.

# %%
ROUNDS = 120
reward = language.exact_match_reward(NEWLINE)
learner = language.grpo(model, optax.adam(6e-4), reward, num_samples=8, max_new_tokens=LENGTH)


def ask(key, count):
    """Draw training questions."""
    rows = jax.random.randint(key, (count,), 0, len(train))
    return jax.tree.map(lambda x: x[rows], questions)


def step(key, state, _):
    step_key, ask_key = jax.random.split(key)
    return learner.step(step_key, state, ask(ask_key, 12))


improved, records = js.simulate(
    step, learner.init(base.params), ROUNDS, key=jax.random.key(2), progress=False
)


def by_tens(values):
    """Means over ten rounds each, of values `[rounds, ...]`."""
    return np.asarray(values).reshape(-1, 10, *values.shape[1:]).mean(1)


left, right = np.ravel(plotting.panels(1, 2, width=4.8, height=3.2))
plotting.curves(
    {"pass rate": base.pass_rates},
    50 * np.arange(len(base.pass_rates)),
    xlabel="gradient steps",
    ylabel="held-out questions",
    title="fine-tuning on demonstrations",
    ax=left,
)
plotting.curves(
    {
        "right responses": by_tens(records.info.reward),
        "groups with a gradient": by_tens(records.info.live),
    },
    np.arange(10, ROUNDS + 1, 10),
    ylabel="share",
    title="GRPO",
    ax=right,
)


# %%
@jax.jit
def pass_rate(params, temperature):
    return language.pass_rate(
        jax.random.key(3), model, params, test, separator=NEWLINE, max_new_tokens=LENGTH,
        num_samples=8, temperature=temperature,
    )  # fmt: skip


rates = {
    "after fine-tuning": round(float(pass_rate(base.params, 1.0)), 2),
    "after GRPO": round(float(pass_rate(improved.params, 1.0)), 2),
}
rates

# %% [markdown]
# ## 3 · A swarm that shares its responses
#
# In SAPO agents send one another questions and decoded responses: text, no parameters and no
# rewards. Each receiver verifies the text itself and learns from it beside its own. Four agents on a
# ring start from the same model; an update takes eight groups, all its own (`8/0`) or four of them
# from its neighbours (`4/4`). `local` and `external` may be traced, so both runs are one program.


# %%
def swarm(external):
    """Mean reward and bytes sent of each agent and round, with so many external groups."""
    sharing = sapo.sapo(
        model,
        optax.adam(6e-4),
        reward,
        local=8 - external,
        external=external,
        num_groups=8,
        max_new_tokens=LENGTH,
        topology=topology.ring(4),
        tokenizer=tokens,
    )

    def step(key, state, _):
        step_key, *keys = jax.random.split(key, 5)
        return sharing.step(step_key, state, jax.vmap(lambda k: ask(k, 8))(jnp.stack(keys)))

    start = sharing.init(agents.stack([base.params] * 4))
    return js.rollout(step, start, 60, key=jax.random.key(4))[1]


runs = jax.jit(lambda counts: jax.lax.map(swarm, counts))(jnp.array([0, 4]))
sent = np.asarray(runs.info.traffic.bytes).mean(axis=(1, 2))
plotting.curves(
    {
        f"{8 - j}/{j}: {sent[i]:,.0f} bytes sent a round": by_tens(runs.info.reward[i]).T
        for i, j in enumerate((0, 4))
    },
    np.arange(10, 61, 10),
    ylabel="share of right responses, median and quartiles of four agents",
    title="isolated agents and agents that share",
)

# %% [markdown]
# Whether sharing pays depends on how rare success is: a receiver gains groups with a gradient, and
# loses responses of its own policy. Here every fifth response is right from the beginning, nearly all
# groups have a gradient anyway, and sharing costs more than it gives.
# `python -m experiments reproduce sapo` measures it at two base pass rates, one of them a tenth of
# this one, beside the control of isolated agents that sample more and filter.
#
# ## 4 · Models that judge one another
#
# A majority vote fails where models share an error. Fortytwo lets each model compare pairs of
# replies, both ways round, and ranks the replies by a Bradley–Terry fit of all verdicts. Here the
# models are scripts: five functions from prompts to texts. Three make the same mistake with the carry;
# but checking is easier than solving, and four of five judge rightly.

# %%
QUESTION = "17 + 25 + 8 = ?"
SHOWN = re.compile(r"Reply A:\nThe sum is (\d+).*Reply B:\nThe sum is (\d+)", re.DOTALL)


def scripted(answer, preferred):
    """A model that answers with one number and, as a judge, prefers one."""

    def node(prompts):
        texts = []
        for prompt in prompts:
            shown = SHOWN.search(prompt)
            if shown is None:
                texts.append(f"The sum is {answer}.")
            else:
                better = "A" if shown[1] == preferred else "B"
                texts.append(f"7 + 5 + 8 ends in 0 and carries 2. Verdict: {better}")
        return texts

    return node


nodes = [scripted(*pair) for pair in [("40", "40"), ("40", "50"), ("40", "50"), ("50", "50")]]
nodes.append(scripted("50", "50"))
found = fortytwo.text_round(
    QUESTION, nodes, read_answer=lambda text: re.findall(r"\d+", text)[-1], per_node=6
)
votes = {answer: found.answers.count(answer) for answer in set(found.answers)}
ranked = {"majority vote": max(votes, key=votes.get), "peer ranking": found.consensus.answer}

ax = plotting.axes(width=6.0, height=2.6)
colors = [plotting.PALETTE[0 if answer == "50" else 1] for answer in found.answers]
ax.barh(range(len(nodes)), found.consensus.strengths, color=colors)
labels = [f"model {i}: {answer}" for i, answer in enumerate(found.answers)]
ax.set_yticks(range(len(nodes)), labels)
ax.set(title=f"log-strength of each reply to {QUESTION}")
ax

# %%
ranked

# %% [markdown]
# ## 5 · A model of your own
#
# What serves the OpenAI protocol can take the place of those scripts: vLLM, llama.cpp, Ollama, a
# hosted service, or the example server of this package, which here serves the transformer from
# section 2 on 127.0.0.1 (`pip install 'jaxswarm[openai]'` for the client). Nothing leaves this
# machine. A client is a function from prompts to texts, so it goes into
# `fortytwo.text_round(question, [client, other], …)`; `language.Tape("calls.jsonl", "record")` keeps
# the replies, so that a run can be repeated without the server.

# %%
asked = [item.question for item in held_out]
with language.server.start(
    model, improved.params, tokens, name="sums", max_new_tokens=LENGTH
) as server:
    with language.openai_compatible(server.base_url, server.name, temperature=0.0) as client:
        replies = client(asked)
        usage = client.usage()
list(zip(asked[:3], replies[:3], strict=True))

# %% [markdown]
# The same parameters, asked directly, take the same most probable tokens: as many right answers.

# %%
right = [
    reply.split("\n")[-1] == item.answer for reply, item in zip(replies, held_out, strict=True)
]
{
    "pass rates": rates,
    "answers": ranked,
    "right directly": round(float(pass_rate(improved.params, 0.0)), 3),
    "right through the protocol": round(float(np.mean(right)), 3),
    "requests": usage.requests,
}

# %% [markdown]
# ## Where to go from here
#
# * `python -m experiments reproduce sapo` (or `step_dapo`, `knexa_fl`, `fortytwo`): published systems
#   with controls, and claims that can fail.
# * `language.grpo`, `ppo`, `dpo`, `step_dapo`, `sft` and `fit_critic` share one interface; tasks of
#   reasoning-gym come through `verifiable.from_reasoning_gym`.
# * `python -m jaxswarm.language.server --task chain_sums` serves a small model to other programs.
