"""Named offline methods: behavior cloning, IQL, n-step returns, (decoupled) Q-chunking.

Each is a choice of :class:`jaxswarm.rl.offline.ChunkHyperparameters`; networks, data, batch and
optimizer are the same for all.

References:
    I. Kostrikov, A. Nair, S. Levine, Offline reinforcement learning with implicit Q-learning, 2022.
    Q. Li, Z. Zhou, S. Levine, Reinforcement learning with action chunking, 2025 (Q-chunking).
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025 (the others, under these names).
"""

from typing import Any

from jaxswarm import checks
from jaxswarm.rl.offline._learner import ChunkHyperparameters, OfflineLearner, chunk_learner
from jaxswarm.rl.offline._network import ChunkNetwork
from jaxswarm.rl.offline.losses import check_kappa
from jaxswarm.types import ArrayLike

_SIZES = ("num_candidates", "flow_steps")


def dqc(
    network: ChunkNetwork,
    *,
    horizon: int = 25,
    policy_chunk: int = 5,
    kappa: tuple[ArrayLike, ArrayLike] = (0.9, 0.8),
    **numbers: Any,
) -> OfflineLearner:
    """Decoupled Q-chunking (DQC): a long-chunk critic distilled into one of the policy's chunk.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        horizon: ``h``, chunk of the critic and steps of its return.
        policy_chunk: ``h_a < h``, actions of the policy's chunk, all of which are executed.
        kappa: ``(κ_d, κ_b)`` in ``[0.5, 1)``, levels of the distilled critic and of the value.
        numbers: other fields of :class:`jaxswarm.rl.offline.ChunkHyperparameters`;
            ``num_candidates`` and ``flow_steps`` as of :func:`jaxswarm.rl.offline.chunk_learner`.

    Raises:
        ValueError: for ``h <= h_a``, ``κ`` out of range, and as
            :func:`jaxswarm.rl.offline.chunk_learner`.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm.rl import offline
        >>> rng = np.random.default_rng(0)
        >>> moves = rng.uniform(-1, 1, (200, 2))  # your data: 20 episodes of 10 rows
        >>> ends = np.arange(200) % 10 == 9
        >>> data = offline.trajectories(np.cumsum(moves, 0), moves, ends)
        >>> network = offline.chunk_network(2, 2, horizon=6, widths=(16,))
        >>> learner = offline.dqc(network, horizon=6, policy_chunk=2, kappa=(0.9, 0.8))
        >>> sampler = offline.chunks(data, horizon=6)
        >>> state, losses = offline.fit(jax.random.key(0), learner, sampler, 3, batch_size=8)
        >>> places = data.observation[:4], data.goal[50:54]
        >>> learner.act(jax.random.key(1), state.params, *places)[:, :2].shape
        (4, 2, 2)
    """
    kappa_distill, kappa_value = _levels(kappa)
    horizon = checks.whole("horizon", horizon, 1)
    policy_chunk = checks.whole("policy_chunk", policy_chunk, 1)
    if policy_chunk >= horizon:
        raise ValueError(
            f"policy_chunk: expected fewer actions than the critic's horizon={horizon}, got "
            f"{policy_chunk}; equal chunks are offline.q_chunking"
        )
    return _build(
        network,
        numbers,
        horizon=horizon,
        critic_chunk=horizon,
        policy_chunk=policy_chunk,
        executed=policy_chunk,
        distill=True,
        kappa_distill=kappa_distill,
        kappa_value=kappa_value,
    )


def dqc_naive(
    network: ChunkNetwork, *, horizon: int = 25, policy_chunk: int = 5, **numbers: Any
) -> OfflineLearner:
    """Q-chunking whose policy generates whole chunks and executes the first actions of each.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        horizon: ``h``, chunk of critic and policy.
        policy_chunk: ``h_a <= h``, actions that are executed.
        numbers: as :func:`dqc`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.chunk_learner`.
    """
    policy_chunk = checks.whole("policy_chunk", policy_chunk, 1)
    return _build(network, numbers, **_chunked(horizon, horizon, policy_chunk))


def q_chunking(network: ChunkNetwork, *, horizon: int = 25, **numbers: Any) -> OfflineLearner:
    """Q-chunking (QC): critic and policy have the same chunk, which is executed open-loop.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        horizon: ``h``, chunk of critic and policy.
        numbers: as :func:`dqc`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.chunk_learner`.
    """
    return _build(network, numbers, **_chunked(horizon, horizon, horizon))


def q_chunking_n_step(
    network: ChunkNetwork, *, horizon: int = 25, policy_chunk: int = 5, **numbers: Any
) -> OfflineLearner:
    """Q-chunking with n-step returns (QC-NS): short chunks, a longer return, no distillation.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        horizon: ``n``, steps of the return.
        policy_chunk: ``h_a <= n``, chunk of critic and policy.
        numbers: as :func:`dqc`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.chunk_learner`.
    """
    policy_chunk = checks.whole("policy_chunk", policy_chunk, 1)
    return _build(network, numbers, **_chunked(horizon, policy_chunk, policy_chunk))


def n_step(network: ChunkNetwork, *, horizon: int = 25, **numbers: Any) -> OfflineLearner:
    """Critic of single actions with n-step returns (NS), biased by what the data do next.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        horizon: ``n``, steps of the return.
        numbers: as :func:`dqc`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.chunk_learner`.
    """
    return _build(network, numbers, **_chunked(horizon, 1, 1))


def one_step(network: ChunkNetwork, **numbers: Any) -> OfflineLearner:
    """Critic of single actions with one-step returns (OS).

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        numbers: as :func:`dqc`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.chunk_learner`.
    """
    return _build(network, numbers, **_chunked(1, 1, 1))


def iql(
    network: ChunkNetwork,
    *,
    expectile: ArrayLike = 0.9,
    advantage_weight: ArrayLike = 10.0,
    **numbers: Any,
) -> OfflineLearner:
    """Implicit Q-learning (IQL): one-step critic, expectile value, advantage-weighted actor.

    The actor is a flow model that is given the goal; one sample is executed.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        expectile: ``κ`` of the value, in ``[0.5, 1)``.
        advantage_weight: ``β >= 0``, inverse temperature of the actor's weights, for advantages in
            logits.
        numbers: as :func:`dqc`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.chunk_learner`.
    """
    check_kappa("expectile", expectile)
    fixed = {
        "expectile_value": True,
        "kappa_value": expectile,
        "advantage_weight": advantage_weight,
        "goal_conditioned": True,
        "candidates": 1,
    }
    return _build(network, numbers, **_chunked(1, 1, 1), **fixed)


def behavior_cloning(
    network: ChunkNetwork, *, policy_chunk: int = 1, **numbers: Any
) -> OfflineLearner:
    """Goal-conditioned behavior cloning (BC) of chunks by flow matching.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        policy_chunk: actions of a chunk, all executed.
        numbers: as :func:`dqc`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.chunk_learner`.
    """
    policy_chunk = checks.whole("policy_chunk", policy_chunk, 1)
    chunk = _chunked(policy_chunk, policy_chunk, policy_chunk)
    return _build(network, numbers, **chunk, goal_conditioned=True, candidates=1)


def _chunked(horizon: int, chunk: int, executed: int) -> dict[str, Any]:
    """Numbers of a method without distillation."""
    return {
        "horizon": horizon,
        "critic_chunk": chunk,
        "policy_chunk": chunk,
        "executed": executed,
        "distill": False,
    }


def _levels(kappa: Any) -> tuple[Any, Any]:
    if not isinstance(kappa, tuple | list) or len(kappa) != 2:
        raise ValueError(
            f"kappa: expected two levels (kappa_distill, kappa_value), got {checks.shown(kappa)}"
        )
    for level in kappa:
        check_kappa("kappa", level)
    return kappa[0], kappa[1]


def _build(network: ChunkNetwork, numbers: dict[str, Any], **fixed: Any) -> OfflineLearner:
    sizes = {name: numbers[name] for name in _SIZES if name in numbers}
    others = {name: given for name, given in numbers.items() if name not in _SIZES}
    for name in others:
        if name not in ChunkHyperparameters._fields:
            raise ValueError(
                f"{name}: expected a field of ChunkHyperparameters or one of {list(_SIZES)}"
            )
    settled = dict(fixed)
    if "candidates" not in settled and "num_candidates" in sizes:
        settled["candidates"] = sizes["num_candidates"]
    hyperparameters = ChunkHyperparameters(**(settled | others))
    return chunk_learner(network, hyperparameters, **sizes)
