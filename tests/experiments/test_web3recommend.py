"""The merged graph of the Web3Recommend experiment: power iteration equals a linear solve."""

import numpy as np

from experiments.web3recommend import worlds
from experiments.web3recommend.config import SCALES
from jaxswarm.trust import graphs, walks


def test_visits_of_the_merged_graph_solve_its_equations():
    network = worlds.honest(SCALES["smoke"], 0).network
    users, count = network.num_users, network.num_users + network.num_items
    trust, trusted, _ = graphs.edge_list(network.trust)
    rated, affinity, _ = graphs.edge_list(network.affinity)
    forth = rated + np.array([0, users])
    merged = graphs.weighted_graph(
        np.concatenate([trust, forth, forth[:, ::-1]]),
        count,
        weights=np.concatenate([trusted, affinity, affinity]),
    )
    solved = walks.solved_visits(merged, np.arange(users), alpha=0.15).mean(axis=0)
    found = worlds.visits_from_any_user(network, 0.15)
    np.testing.assert_allclose(found, solved, rtol=1e-7)
