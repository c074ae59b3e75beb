"""SL-MGAC: when to insert live streams in a feed, learnt offline from one log.

To be completed.
"""

from experiments.harness.protocol import Paper

NAME = "sl_mgac"

TITLE = "SL-MGAC: supervised reward heads and user groups for inserting live streams in a feed"

PAPER = Paper(
    author="J. Liu, X. Gao, Y. Li, X. Li, H. Lu, B. Wang",
    title=(
        "Supervised Learning-enhanced Multi-Group Actor Critic for Live Stream Allocation in Feed"
    ),
    year=2025,
    venue="KDD 2025",
    arxiv="2412.10381",
)

SUBSTITUTES = (
    "A simulated feed of thousands of users (envs.LiveFeedEnv) stands for the paper's platform, a "
    "log of a random policy for its logs, and simulated users for its online test. The paper's "
    "reward, groups, bins and baselines are not public: they are our reading of its abstract."
)
