import pytest

from jaxswarm.errors import unknown


def test_a_near_miss_gets_a_suggestion():
    error = unknown("mixing weights", "metropolos", {"metropolis": 0, "uniform": 0})
    assert isinstance(error, ValueError)
    assert "unknown mixing weights 'metropolos', did you mean 'metropolis'?" in str(error)


@pytest.mark.parametrize("name", ["zzz", 3, None, ""])
def test_anything_else_lists_what_is_known(name):
    message = str(unknown("layout", name, ["dense", "gather"]))
    assert repr(name) in message
    assert message.endswith("known: 'dense', 'gather'")
