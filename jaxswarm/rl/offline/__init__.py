"""Offline goal-conditioned reinforcement learning with action chunks.

``trajectories`` indexes episodes of a data set, ``chunks`` draws goal-relabelled chunks from them,
``chunk_network`` makes the networks, ``dqc`` a learner (decoupled Q-chunking), ``fit`` trains it.
The baselines ``behavior_cloning``, ``iql``, ``one_step``, ``n_step``, ``q_chunking``,
``q_chunking_n_step`` and ``dqc_naive`` have the same networks and update; ``networked`` trains
agents with disjoint shards. :mod:`jaxswarm.rl.offline.exact` analyses chunk critics on small
Markov decision processes; :mod:`jaxswarm.rl.offline.evaluation` estimates what a policy would have
earned from sessions that another one logged.
"""

from jaxswarm.rl.offline import evaluation, exact
from jaxswarm.rl.offline._learner import (
    ChunkHyperparameters,
    OfflineLearner,
    OfflineState,
    chunk_learner,
)
from jaxswarm.rl.offline._named import (
    behavior_cloning,
    dqc,
    dqc_naive,
    iql,
    n_step,
    one_step,
    q_chunking,
    q_chunking_n_step,
)
from jaxswarm.rl.offline._network import ChunkNetwork, chunk_network
from jaxswarm.rl.offline._training import (
    NetworkedOfflineInfo,
    NetworkedOfflineState,
    fit,
    networked,
    shard,
)
from jaxswarm.rl.offline._trajectories import (
    ChunkBatch,
    ChunkSampler,
    GoalPool,
    GoalShares,
    Trajectories,
    chunks,
    sample_chunks,
    trajectories,
)
from jaxswarm.rl.offline.losses import (
    binary_cross_entropy,
    expectile_cross_entropy,
    expectile_loss,
    implicit_weight,
    quantile_loss,
)

__all__ = [
    "ChunkBatch",
    "ChunkHyperparameters",
    "ChunkNetwork",
    "ChunkSampler",
    "GoalPool",
    "GoalShares",
    "NetworkedOfflineInfo",
    "NetworkedOfflineState",
    "OfflineLearner",
    "OfflineState",
    "Trajectories",
    "behavior_cloning",
    "binary_cross_entropy",
    "chunk_learner",
    "chunk_network",
    "chunks",
    "dqc",
    "dqc_naive",
    "evaluation",
    "exact",
    "expectile_cross_entropy",
    "expectile_loss",
    "fit",
    "implicit_weight",
    "iql",
    "n_step",
    "networked",
    "one_step",
    "q_chunking",
    "q_chunking_n_step",
    "quantile_loss",
    "sample_chunks",
    "shard",
    "trajectories",
]
