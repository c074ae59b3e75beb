"""What the arms of :mod:`experiments.bristle` share: data, frozen body, attacks, learners.

Shapes: ``S`` seeds, ``N`` agents, ``C`` classes, ``F`` features.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, data, gossip, learning, models, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.models import losses
from jaxswarm.systems import bristle

CONDITIONS = ("none", "noise", "label_flip_2", "label_flip_all", "fang_krum", "fang_trimmed_mean")
"""Attacks by their index, ``none`` first."""

BASELINES = ("averaging", "median", "krum", "bridge", "mozi")


class World(NamedTuple):
    """Everything that one seed of an arm learns from.

    Attributes:
        train: images of the agents, per-agent rows.
        test: private tests on images.
        seen: the same two as features, what heads are trained and tested on.
        exam: features of the global test set.
        images: the global test set itself.
        labels: of the global test set.
    """

    train: data.Shards
    test: bristle.Tests
    seen: bristle.Peers
    exam: Any
    images: Any
    labels: Any


def pools(config: Any) -> tuple[data.Dataset, data.Dataset, data.Dataset]:
    """``(for the body, for the agents, for the global test)``: disjoint, every class in each."""
    split = data.load(config.data, path=config.path, seed=config.seed)
    body, own = data.split_by_class(
        split.train, test_fraction=1.0 - config.body_share, seed=config.seed
    )
    return body, own, split.test


def turned(dataset: data.Dataset) -> data.Dataset:
    """Another task on the same pixels: images turned and mirrored in eight ways; 8 C classes.

    Stands in for the letters on which the paper's body was trained.
    """
    side = round(dataset.features.shape[1] ** 0.5)
    images = dataset.features.reshape(-1, side, side)
    views, labels = [], []
    for view in range(8):
        image = np.rot90(images, view % 4, axes=(1, 2))
        views.append((image[:, :, ::-1] if view >= 4 else image).reshape(len(images), -1))
        labels.append(dataset.labels + dataset.num_classes * view)
    return data.from_arrays(np.concatenate(views), np.concatenate(labels), name="turned")


def private_rows(
    labels: np.ndarray, held: np.ndarray, learn: int, test: int, seed: int
) -> tuple[data.Partition, data.Partition]:
    """Deal ``learn`` training and ``test`` test samples of every class to each of its holders.

    Rows of a class are dealt in random order and from the start again when it runs out, so agents
    may share samples; one agent's are distinct.

    Raises:
        ValueError: if a class has fewer than ``learn + test`` samples.
    """
    rng = np.random.default_rng(seed)
    hands: list[list[list[np.ndarray]]] = [[[], []] for _ in held]
    each = learn + test
    for c in range(held.shape[1]):
        rows = rng.permutation(np.flatnonzero(labels == c))
        if len(rows) < each:
            raise ValueError(f"labels: class {c} has {len(rows)} samples, expected {each} or more")
        for turn, agent in enumerate(rng.permutation(np.flatnonzero(held[:, c]))):
            mine = rows[(turn * each + np.arange(each)) % len(rows)]
            hands[agent][0].append(mine[:learn])
            hands[agent][1].append(mine[learn:])
    parts = []
    for which, name in enumerate(("private train", "private test")):
        dealt = [np.concatenate(hand[which]) for hand in hands]
        parts.append(data.from_rows(dealt, len(labels), overlap=True, name=name))
    return parts[0], parts[1]


def holders(config: Any, iid: bool, num_classes: int) -> np.ndarray:
    """``bool[N, C]``: who has which classes: all, or some consecutive ones, cyclically."""
    if iid:
        return np.ones((config.agents, num_classes), bool)
    first = np.arange(config.agents)[:, None]
    return (np.arange(num_classes)[None, :] - first) % num_classes < config.classes


class Frozen(NamedTuple):
    """The data and what each seed's frozen body makes of it.

    Attributes:
        own: the agents' pool.
        exam: the global test set.
        seen: features of ``own`` and ``exam``, a pair per seed.
        network: the whole network, for those who exchange it.
        size: its bytes.
    """

    own: data.Dataset
    exam: data.Dataset
    seen: list[tuple[jax.Array, jax.Array]]
    network: models.Model
    size: int


def frozen(config: Any) -> Frozen:
    """Pre-train one body per seed on :func:`turned` and take the features of all data."""
    body_set, own, exam = pools(config)
    task = turned(body_set)
    body = models.functional(models.mlp(*config.body), own.features[:1])
    teacher = bristle.with_head(body, config.body[-1], task.num_classes)
    network = bristle.with_head(body, config.body[-1], own.num_classes)

    @jax.jit
    def features(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        params = bristle.pretrained(key, teacher, task, steps=config.body_steps)["body"]
        see = [bristle.features(body, params, d.features) for d in (body_set, own, exam)]
        return see[1] / see[0].std(), see[2] / see[0].std()

    seen = [features(jax.random.key(config.seed + s)) for s in range(config.seeds)]
    whole = jax.eval_shape(lambda k: jax.tree.map(lambda x: x[None], network.init(k)), KEY)
    return Frozen(own, exam, seen, network, agents.size_of_one(whole)[1])


def worlds(config: Any, iid: bool, made: Frozen) -> World:
    """All seeds' worlds, leading axis ``S``."""
    held = holders(config, iid, made.own.num_classes)
    each = []
    for number, (mine, theirs) in enumerate(made.seen):
        train, test = private_rows(
            made.own.labels, held, config.learn, config.test, config.seed + number
        )
        seen = data.from_arrays(mine, made.own.labels, num_classes=made.own.num_classes)
        peers = bristle.peers(seen, train, test)
        images = jnp.asarray(np.asarray(made.own.features)[test.indices])
        each.append(
            World(
                data.shards(made.own, train),
                peers.test._replace(x=images),
                peers,
                theirs,
                jnp.asarray(made.exam.features),
                jnp.asarray(made.exam.labels),
            )
        )
    return jax.tree.map(lambda *x: jnp.stack(x), *each)


KEY = jax.random.key(0)


def label_attack(config: Any, num_classes: int, which: jax.Array) -> data.DataAttack:
    """The labels that an attacker sees under condition ``which`` (traced)."""
    pair = data.flip_pair(*config.flip)
    everything = data.flip_all(num_classes)

    def attack(key: jax.Array, batch: data.Batch) -> data.Batch:
        labels = jnp.where(which == 2, pair(key, batch).y, batch.y)
        return batch._replace(y=jnp.where(which == 3, everything(key, batch).y, labels))

    return attack


def flipped_tests(
    tests: bristle.Tests, attack: data.DataAttack, malicious: jax.Array
) -> bristle.Tests:
    """The attackers' own tests, as mislabelled as what they train on."""
    n, classes = tests.familiar.shape
    batch = data.Batch(tests.x, tests.y, tests.weight)
    keys = agents.keys(KEY, n)
    lying = jax.vmap(attack)(keys, batch).y
    names = jnp.arange(classes)
    renamed = attack(KEY, data.Batch(names, names, names)).y
    known = jnp.take(tests.familiar, jnp.argsort(renamed), axis=1)
    return tests._replace(
        y=agents.where(malicious, lying, tests.y),
        familiar=agents.where(malicious, known, tests.familiar),
    )


def message_attacks(config: Any, count: int) -> list[gossip.Attack]:
    """The first ``count`` of :data:`CONDITIONS`; label flips poison data, not messages."""
    honest = gossip.ATTACKS["none"]()
    return [
        honest,
        gossip.attacks.one_sided_noise(config.noise),
        honest,
        honest,
        gossip.fang_krum(config.byzantine, num_voices=config.degree + 1),
        gossip.fang_trimmed_mean(),
    ][:count]


def robust_rule(
    config: Any, name: str, graph: topology.Topology, loss: Callable[..., jax.Array]
) -> gossip.GossipTransformation:
    """A baseline's way of aggregating; all know the true number of attackers they face."""
    b = config.byzantine
    if name == "mozi":
        return gossip.robust.mozi(graph, loss)
    return gossip.RULES["trimmed_mean" if name == "bridge" else name](graph, b)


def learner(
    config: Any,
    name: str,
    graph: topology.Topology,
    world: World,
    network: models.Model,
    byzantine: jax.Array,
    which: jax.Array,
    count: int,
) -> tuple[Algorithm, Any, Any, Callable[[Any], jax.Array]]:
    """``(algorithm, params, inputs, accuracy(state) [N])`` of an arm under ``which < count``."""
    classes = world.test.familiar.shape[-1]
    attack = label_attack(config, classes, which)
    sample = data.poisoned(data.minibatches(config.batch), attack, byzantine)
    lies = message_attacks(config, count)
    kind, _, rule_name = name.partition(" ")
    local = optax.adam(config.lr)
    if kind == "scratch":
        tests = flipped_tests(world.test, attack, byzantine)
        loss = learning.classification_loss(network, weight_decay=config.weight_decay)
        params = agents.initialize(jax.random.key(1), network.init, config.agents, shared=True)
        inputs, exam, apply = world.train, world.images, network.apply
    else:
        tests = flipped_tests(world.seen.test, attack, byzantine)
        loss = bristle.head_loss(config.weight_decay)
        params = jnp.zeros((config.agents, config.body[-1], classes))
        inputs, exam = world.seen.train, world.exam

        def apply(head: jax.Array, x: jax.Array) -> jax.Array:
            return x @ head

    def accuracy(state: Any) -> jax.Array:
        score = jax.vmap(lambda p: losses.accuracy(apply(p, exam), world.labels))
        return score(state.params)

    if kind == "bristle":
        rule = bristle.performance_based(
            graph,
            quota=config.quota,
            alpha=config.alpha,
            num_certain=config.num_certain,
            selection=rule_name or "thirds",
        )
        boast = byzantine & (which > 0) & (which != 2) & (which != 3)
        rule = gossip.attacked_by_one_of(rule, lies, which, byzantine)
        algorithm = bristle.bristle(
            gossip.informed(rule, public=tests.familiar | boast[:, None]),
            local=local,
            sample=sample,
            weight_decay=config.weight_decay,
        )
        return algorithm, params, bristle.Peers(inputs, tests), accuracy
    rule = robust_rule(config, rule_name, graph, loss)
    rule = gossip.attacked_by_one_of(rule, lies, which, byzantine)
    samples = data.poisoned(data.full_batches(), attack, byzantine)(KEY, inputs)
    algorithm = learning.decentralized(
        loss,
        local=local,
        gossip=gossip.informed(rule, context=samples),
        sample=sample,
        order="combine_then_adapt",
    )
    return algorithm, params, inputs, accuracy
