"""Which providers are tried, in which order."""

from __future__ import annotations

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.base import Capability, Policy, provider_order

BOTH = Capability("lib", "1.2", ("cuda", "cpu"))


@pytest.mark.parametrize(
    ("asked", "policy", "expected"),
    [
        ("auto", "require", ("cuda",)),
        ("auto", "prefer", ("cuda", "cpu")),
        ("auto", "any", ("cuda", "cpu")),
        ("cuda", "require", ("cuda",)),
        ("cpu", "require", ("cpu",)),
        ("cpu", "prefer", ("cpu", "cuda")),
        ("cpu", "any", ("cpu", "cuda")),
        ("cann", "prefer", ("cuda", "cpu")),
        ("cann", "any", ("cuda", "cpu")),
    ],
)
def test_provider_order_follows_the_policy(
    asked: str, policy: Policy, expected: tuple[str, ...]
) -> None:
    """`require` tries one; the others try the asked one first, then what is there, best first."""
    assert provider_order(BOTH, asked, policy) == expected


def test_provider_order_required_provider_absent_is_refused() -> None:
    """Asking for a provider that is not there is 1013: it names it, what is there, and the way out."""
    with pytest.raises(SetupError) as caught:
        provider_order(BOTH, "cann", "require")
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert "'cann'" in caught.value.message
    assert "cuda, cpu" in caught.value.message
    assert "prefer" in caught.value.hint


@pytest.mark.parametrize("policy", ["require", "prefer", "any"])
@pytest.mark.parametrize("asked", ["auto", "cpu"])
def test_provider_order_backend_absent_is_refused_under_every_policy(asked: str, policy: Policy) -> None:
    """A backend that can run nothing is 1013 with its own reason; no policy helps."""
    broken = Capability("lib", "", (), problem="ImportError: no such file")
    with pytest.raises(SetupError, match="no such file") as caught:
        provider_order(broken, asked, policy)
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_capability_without_providers_is_not_available() -> None:
    """A backend is there when it has at least one provider."""
    assert BOTH.is_available
    assert not Capability("lib", "1.2", ()).is_available
