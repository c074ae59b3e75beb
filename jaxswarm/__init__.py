"""jaxswarm: decentralised agents as arrays.

Graphs, gossip, learners, environments, policies and networks are pure functions over pytrees whose
first axis is the agents', so thousands of agents run as one XLA program on one CPU, GPU or TPU.

Importing this package pulls in jax and numpy only; each room imports what it needs.
"""

__version__ = "0.1.0"
