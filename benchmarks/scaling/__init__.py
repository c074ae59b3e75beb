"""How far one device goes: gossip, learners, local steps, sweeps and memory.

``python -m benchmarks.scaling --json PATH`` measures; ``--table PATH`` turns the figures into
Markdown. One file per section, and :mod:`benchmarks.scaling.timing` for what they share.
"""
