"""SwarmBench: five grid tasks, and the effect of the view, of messages and of learning on scores.

The benchmark scores language models zero-shot; none is evaluated here. The policies that play are
random, scripted (a map of what was observed and shortest paths on it, see
:mod:`jaxswarm.envs.swarmbench.scripted`), or trained (a recurrent network with an output for
messages, trained by PPO with an additional dense reward; it observes nothing but its view). None of
them replaces a language model: what is tested is the benchmark, that is, whether local views and
messages limit what a swarm can do, whether five agents are needed to push the box, and whether the
way a swarm moves explains its score better than the amount of its messages.

Synchronization is an exception: agents that count rounds need neither view nor messages, as all
start in the same round. This is reported as a control. The scripted policy of that task therefore
has no memory; it infers the round from received messages, its own included.

The trained networks' dense reward is potential-based, so that it leaves the order of policies as it
is. Until December 2026 it was not: in synchronization it paid 0.54 an episode to the policy that
scores 100 and 89 to one that scores 50; in pursuit an agent that chased for ever earned ten times
what a capture is worth. The claims are the same ones; full scale learns all five tasks and counts
in how many of them training beats the script. With the 12,000 steps of small scale the networks
learn less from the new reward, which is smaller per step (a tenth of a point there, about a
twentieth here; its weight is free): in foraging 0.4 points more than random moves instead of 3.9,
in pursuit no longer decidedly more.

References:
    K. Ruan, M. Huang, J. Wen, H. Sun, Benchmarking LLMs' Swarm Intelligence, 2025.
"""

from experiments.harness.protocol import Paper

NAME = "swarmbench"

TITLE = "SwarmBench: five grid tasks with local views and anonymous messages"

PAPER = Paper(
    author="K. Ruan, M. Huang, J. Wen, H. Sun",
    title="Benchmarking LLMs' Swarm Intelligence",
    year=2025,
    venue="arXiv preprint",
    arxiv="2505.04364",
)

SUBSTITUTES = (
    "Random, scripted and PPO-trained policies play the five tasks; no language model is "
    "evaluated, and these policies do not stand for one. The round number is hidden from agents, "
    "as it alone solves the synchronization task."
)
