"""Averaging and aggregation steps on a topology: “optax for gossip”."""
