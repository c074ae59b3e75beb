"""Things of the wrong kind, one mistaken for another: errors that name the right call."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxswarm as js
from tests.later import Later, built

N = 4
KEY = Later(jax.random.key, 0)
GRAPH = Later(lambda: js.topology.ring(N))
W = Later(lambda: js.gossip.mixing(built(GRAPH)))
SPLIT = Later(lambda: js.data.load("iris"))
MODEL = Later(lambda: js.models.functional(js.models.mlp(3), np.zeros((1, 4), np.float32)))
ONE = Later(lambda: MODEL.value.init(KEY.value))
PARAMS = Later(lambda: js.agents.broadcast(ONE.value, N))
SAMPLE = Later(lambda: js.data.minibatches(2))
PARTS = Later(lambda: js.data.iid(SPLIT.value.train.labels, N))


def loss(params, batch):
    return jnp.sum(params["params"]["Dense_0"]["bias"]) + jnp.sum(batch.x)


def learner(loss=loss, **changes):
    options = {"local": optax.sgd(0.1), "gossip": js.gossip.averaging(W.value)}
    return js.learning.decentralized(loss, **{**options, "sample": SAMPLE.value, **changes})


def simulated(step=None, state=None, inputs=None):
    work = learner()
    state = work.init(PARAMS.value) if state is None else state
    step = work.step if step is None else step
    return js.simulate(step, state, 1, key=KEY.value, inputs=inputs, progress=False)


def shards():
    return js.data.shards(SPLIT.value.train, PARTS.value)


CALLS = {
    "mix a topology": (lambda: js.gossip.mix(GRAPH.value, PARAMS.value), "W: .*gossip.mixing"),
    "mix swapped": (lambda: js.gossip.mix(PARAMS.value, W.value), r"order .* is mix\(W, tree\)"),
    "mix a matrix": (lambda: js.gossip.mix(jnp.eye(N), PARAMS.value), "W: .*from_matrix"),
    "mixing a name": (lambda: js.gossip.mixing("ring"), r"topology: .*topology.ring\(64\)"),
    "mixing twice": (lambda: js.gossip.mixing(W.value), "topology: .*got Dense"),
    "averaging a topology": (lambda: js.gossip.averaging(GRAPH.value), "W: .*gossip.mixing"),
    "compressed W": (
        lambda: js.gossip.compressed(W.value, js.gossip.top_k(0.1)),
        "rule: .*gossip.averaging",
    ),
    "robust rule of W": (lambda: js.gossip.robust.krum(W.value, 1), "topology: .*topology.ring"),
    "learner of W": (lambda: learner(gossip=W.value), r"gossip: .*gossip.averaging\(W\)"),
    "learner of a graph": (lambda: learner(gossip=GRAPH.value), "gossip: .*gossip.averaging"),
    "learner of a rate": (lambda: learner(local=0.1), "local: .*optax.sgd"),
    "learner of a model": (lambda: learner(MODEL.value), "loss: .*classification_loss"),
    "learner of a batch size": (lambda: learner(sample=16), r"sample: .*minibatches\(16\)"),
    "no init": (lambda: simulated(state=PARAMS.value, inputs=shards()), "state: .*learner.init"),
    "one agent's": (lambda: learner().init(ONE.value), "params: .*agents.initialize"),
    "a key for params": (lambda: learner().init(KEY.value), "params: .*agents.initialize"),
    "a learner for its step": (lambda: simulated(learner()), "step: .*algorithm.step"),
    "a data set as inputs": (lambda: simulated(inputs=SPLIT.value.train), "shards: .*data.shards"),
    "a split as inputs": (lambda: simulated(inputs=SPLIT.value), "shards: .*data.shards"),
    "shards of a split": (
        lambda: js.data.shards(SPLIT.value, PARTS.value),
        "dataset: .*split.train",
    ),
    "shards swapped": (
        lambda: js.data.shards(PARTS.value, SPLIT.value.train),
        "dataset: .*from_arrays",
    ),
    "a partition of a split": (lambda: js.data.iid(SPLIT.value, N), "labels: .*split.train.labels"),
    "a partition of a data set": (
        lambda: js.data.dirichlet_over_agents(SPLIT.value.train, N),
        "labels: .*dataset.labels",
    ),
    "a model of a data set": (
        lambda: js.models.functional(js.models.mlp(3), SPLIT.value.train),
        r"example_x: .*features\[:1\]",
    ),
    "a loss of a module": (
        lambda: js.learning.classification_loss(js.models.mlp(3)),
        "model: .*models.functional",
    ),
    "initialize with a model": (
        lambda: js.agents.initialize(KEY.value, MODEL.value, N),
        "init: .*model.init",
    ),
    "evaluation on a split": (
        lambda: js.learning.evaluation(MODEL.value, SPLIT.value),
        r"test: .*\.test",
    ),
    "a name as a networkx graph": (lambda: js.topology.from_networkx("x"), "graph: .*networkx"),
    "a torus of one side": (lambda: js.topology.torus(16), r"shape: .*torus\(4, 4\)"),
    "a space of a number": (lambda: js.space.Space(5.0), r"sides: .*\(1.0, 1.0\)"),
    "a swarm swapped": (
        lambda: js.swarms.vicsek(10, js.space.Space((1.0, 1.0))),
        r"space: .*Space\(\(1.0, 1.0\)\)",
    ),
    "targets as classes": (
        lambda: js.data.from_arrays(np.ones((5, 2)), np.ones(5) / 3),
        "labels: .*data.from_samples",
    ),
    "a seed for a key": (lambda: js.rollout(lambda k, s, i: (s, ()), 0.0, 1, key=0), "key: .*key"),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_error_names_the_argument_and_the_right_call(call):
    function, message = CALLS[call]
    with pytest.raises((ValueError, TypeError), match=message):
        function()


def test_errors_of_the_step_itself_pass():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        js.rollout(lambda key, state, inputs: (js.nothing, ()), 0.0, 1, key=KEY.value)
