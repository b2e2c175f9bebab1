"""Who may call the Linkface dialect: secrets, days, rates and quotas."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import pytest

from livegate.core.config import LinkfaceApp
from livegate.core.errors import ErrorCode, LiveGateError, RequestError, SetupError
from livegate.gateway.accounts import Accounts, Quota
from livegate.gateway.linkface import LinkfaceError, LinkfaceStatus

SECRET = "secret-of-the-app"


def at(text: str) -> Any:
    """A clock that stands still."""
    seconds = datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()
    return lambda: seconds


NOON = at("2026-11-21T12:00")


def accounts(clock: Any = NOON, **own: Any) -> Accounts:
    other = LinkfaceApp(api_id="other", api_secret="secret-of-the-other")
    return Accounts((LinkfaceApp(api_id="app", api_secret=SECRET, **own), other), clock)


def row(call: Any, *given: str) -> LinkfaceStatus:
    with pytest.raises(LinkfaceError) as caught:
        call(*given)
    assert SECRET not in str(caught.value)
    return caught.value.row


def test_right_secret_enters() -> None:
    """Each app with its own."""
    accounts().enter("app", SECRET)
    accounts().enter("other", "secret-of-the-other")


@pytest.mark.parametrize(
    ("api_id", "secret"),
    [
        ("", ""),
        ("app", ""),
        ("", SECRET),
        ("app", "secret-of-the-other"),
        ("é", "é"),
        ("app", SECRET + " "),
    ],
)
def test_wrong_or_missing_secret_is_unauthorized(api_id: str, secret: str) -> None:
    """The same words for whatever is wrong."""
    assert row(accounts().enter, api_id, secret) is LinkfaceStatus.UNAUTHORIZED


def test_two_apps_with_one_id_are_refused_at_start() -> None:
    """Which secret would count?"""
    app = LinkfaceApp(api_id="app", api_secret=SECRET)
    with pytest.raises(SetupError, match="app more than once") as caught:
        Accounts((app, app))
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL


def test_account_is_good_to_the_end_of_its_last_day() -> None:
    """In UTC."""
    accounts(at("2026-11-21T23:59:59"), expires=date(2026, 11, 21)).enter("app", SECRET)
    late = accounts(at("2026-11-22T00:00"), expires=date(2026, 11, 21))
    assert row(late.enter, "app", SECRET) is LinkfaceStatus.KEY_EXPIRED


def test_expired_account_is_told_to_its_owner_only() -> None:
    """Who has not the secret learns nothing of the account."""
    late = accounts(at("2030-01-01T00:00"), expires=date(2026, 11, 21))
    assert row(late.enter, "app", "wrong") is LinkfaceStatus.UNAUTHORIZED


def test_rate_is_counted_for_each_app() -> None:
    """One that asks too often holds up nobody else."""
    own = accounts(rate_limit_rps=0.001)
    own.enter("app", SECRET)
    with pytest.raises(RequestError) as caught:
        own.enter("app", SECRET)
    assert caught.value.code is ErrorCode.FULL
    assert SECRET not in str(caught.value)
    own.enter("other", "secret-of-the-other")


def test_quota_is_used_up() -> None:
    """Two calls, and no third; refused callers do not count."""
    own = accounts(quota=2)
    with pytest.raises(LiveGateError):
        own.enter("app", "wrong")
    own.enter("app", SECRET)
    own.enter("app", SECRET)
    assert row(own.enter, "app", SECRET) is LinkfaceStatus.OUT_OF_QUOTA


def test_quota_begins_anew_with_the_day() -> None:
    """Whichever way the clock is set."""
    quota = Quota(1)
    for day in (date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 21)):
        quota.take(day)
        with pytest.raises(LinkfaceError):
            quota.take(day)
