"""Networks of the Web3Recommend experiment: affinities, trust by similarity, attacks on users."""

from typing import NamedTuple

import jax
import numpy as np

from experiments.web3recommend.config import Config
from jaxswarm import data
from jaxswarm.trust import graphs

TAIL = 1e-9  # visits of a step, as a share of those before, at which power iteration stops
CAMOUFLAGE = 5  # honest items that each Sybil with camouflage rates


class World(NamedTuple):
    """An honest network.

    Attributes:
        network: trust by similarity and affinities, which sum to 1 for each user.
        popularity: ``[I]``, total affinity of each item.
        hidden: ``int[U]``, favorite item of each user that was hidden; -1 if none was.
    """

    network: graphs.TrustNetwork
    popularity: np.ndarray
    hidden: np.ndarray


def honest(config: Config, seed: int, *, hide: bool = False) -> World:
    """The network of one repetition; with ``hide`` every user's favorite is taken out first."""
    rng = np.random.default_rng(seed)
    user, item, weight = _rated(config) if config.data == "movielens" else _played(config, rng)
    users, items = int(user.max()) + 1, int(item.max()) + 1
    hidden = np.full(users, -1)
    if hide:
        noise = rng.random(len(weight))  # equal ratings: any of them
        order = np.lexsort((noise, weight, user))
        last = np.append(user[order][1:] != user[order][:-1], True)
        favorite = order[last]
        hidden[user[favorite]] = item[favorite]
        kept = np.ones(len(user), bool)
        kept[favorite] = False
        user, item, weight = user[kept], item[kept], weight[kept]
    share = weight / np.bincount(user, weight, minlength=users)[user]
    times = rng.permutation(len(user)).astype(np.int32)
    affinity = graphs.weighted_graph(
        np.stack([user, item], 1), users, items, weights=share, times=times
    )
    trust = graphs.similar_users(affinity, config.trusted)
    popularity = np.bincount(item, share, minlength=items)
    return World(graphs.trust_network(trust, affinity), popularity, hidden)


def targets(world: World, config: Config, seed: int) -> np.ndarray:
    """``int[R, 2]``: attacked users, and the user that attacks, one that the root trusts."""
    rng = np.random.default_rng([seed, 1])
    trust = np.asarray(world.network.trust.targets)
    degree = (np.asarray(world.network.trust.weights) > 0).sum(axis=1)
    roots = rng.choice(np.flatnonzero(degree >= 2), config.roots, replace=False)
    return np.stack([roots, trust[roots, rng.integers(0, degree[roots])]], axis=1)


def attacked(
    world: World, config: Config, attackers: np.ndarray, sybils: int, shape: str, *,
    factor: float = 1.0, camouflage: int = 0, seed: int = 0,
) -> graphs.Attacked:  # fmt: skip
    """Attack a network, with affinities as shares of a user's plays.

    A Sybil plays nothing but promoted items (and its camouflage), in equal shares. An attacker
    needs its honest items, by which walks reach it: it gives each promoted item ``factor`` times
    the mean affinity of an honest edge. All numbers of Sybils of one attacker have arrays of one
    shape.
    """
    network, affinity = world.network, np.asarray(world.network.affinity.weights)
    most = config.sybils[-1] if len(attackers) == 1 else sybils
    rated = int((affinity > 0).sum(axis=1).max())
    return graphs.sybil_attack(
        network, attackers, sybils, shape,
        num_items=config.promoted,
        affinity=factor * float(affinity[affinity > 0].mean()),
        sybil_affinity=1.0 / (config.promoted + camouflage),
        trust=float(np.asarray(network.trust.weights).max()),
        camouflage=camouflage,
        popular=min(500, max(network.num_items // 7, camouflage)),
        seed=seed,
        num_users_total=network.num_users + most * len(attackers),
        trust_width=max(network.trust.width, most if shape == "star" else 1),
        affinity_width=rated + config.promoted + CAMOUFLAGE,
    )  # fmt: skip


def stacked(networks: list[graphs.TrustNetwork]) -> graphs.TrustNetwork:
    """Networks of one shape on a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *networks)


def visits_from_any_user(network: graphs.TrustNetwork, alpha: float) -> np.ndarray:
    """Expected visits of a walk on users and items merged into one graph ``float64[U + I]``.

    Edges are trust, affinities and their reverse. The walk starts at a user drawn uniformly, stops
    with probability ``alpha`` before each step, and at vertices without edges.
    """
    users, vertices = network.num_users, network.num_users + network.num_items
    trust, trusted, _ = graphs.edge_list(network.trust)
    rated, affinity, _ = graphs.edge_list(network.affinity)
    forth = rated + np.array([0, users])
    source, target = np.concatenate([trust, forth, forth[:, ::-1]]).T
    weights = np.concatenate([trusted, affinity, affinity]).astype(np.float64)
    moves = (1.0 - alpha) * weights / np.bincount(source, weights, vertices)[source]
    here = np.repeat([1.0 / users, 0.0], [users, network.num_items])
    visits = here.copy()
    while here.sum() > TAIL * visits.sum():
        here = np.bincount(target, here[source] * moves, vertices)
        visits += here
    return visits


def _played(config: Config, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Users with tastes play popular items of the groups that they prefer, some of them often."""
    group = np.arange(config.items) % config.tastes
    fame = 1.0 / (1.0 + rng.permutation(config.items)) ** 0.5
    taste = rng.dirichlet(np.full(config.tastes, 0.3), config.users)
    chance = (taste[:, group] + 0.02) * fame
    noise = rng.gumbel(size=chance.shape)
    item = np.argsort(-(np.log(chance) + noise), axis=1)[:, : config.plays]
    user = np.repeat(np.arange(config.users), config.plays)
    liked = taste[user, group[item.ravel()]]
    count = 1.0 + rng.poisson(10.0 * liked * rng.lognormal(0.0, 0.7, len(user)))
    return user, item.ravel(), count


def _rated(config: Config) -> tuple[np.ndarray, ...]:
    """Ratings of MovieLens as affinities."""
    log = data.movielens(config.path)
    mask = np.asarray(log.mask)
    return np.nonzero(mask)[0], np.asarray(log.actions)[mask], np.asarray(log.rewards)[mask][:, 0]
