"""The figure of the fake system."""

from jaxswarm import plotting


def plot(config, results, path):
    """Both curves over rounds."""
    axes = plotting.curves(
        results["curves"],
        results["rounds"],
        xlabel="round",
        ylabel="value",
        title=f"{config.agents} agents",
    )
    plotting.save(axes, path)
