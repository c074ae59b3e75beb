"""``python -m experiments``: list the systems, run them, reproduce their claims."""


def main(args: list[str] | None = None) -> int:
    """Parse ``args`` (``sys.argv`` by default), run the command, return the exit status."""
    raise NotImplementedError
