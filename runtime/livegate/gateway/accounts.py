"""Who may call the Linkface dialect: an id, a secret, until when, how fast and how often."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timezone

from livegate.core.config import LinkfaceApp
from livegate.gateway.distinct import require_distinct
from livegate.gateway.linkface import LinkfaceError, LinkfaceStatus
from livegate.gateway.ratelimit import TokenBucket


class Quota:
    """So many calls on one day (UTC). The count lives in memory: a restart begins it anew."""

    def __init__(self, calls: int) -> None:
        """None were made; 0 calls = no limit."""
        self._calls = calls
        self._day = date.min
        self._made = 0
        self._lock = threading.Lock()

    def take(self, today: date) -> None:
        """Count one call.

        Raises:
            LinkfaceError: OUT_OF_QUOTA.
        """
        if not self._calls:
            return
        with self._lock:
            if today != self._day:
                self._day, self._made = today, 0
            if self._made >= self._calls:
                raise LinkfaceError(
                    LinkfaceStatus.OUT_OF_QUOTA,
                    f"the {self._calls} calls of {today.isoformat()} (UTC) are used up",
                    hint="try again tomorrow, or raise its quota",
                )
            self._made += 1


class Account:
    """One client."""

    def __init__(self, app: LinkfaceApp, now_s: Callable[[], float]) -> None:
        """Its bucket is full, its quota untouched."""
        self._id = app.api_id.encode()
        self._secret = app.api_secret.encode()
        self._expires = app.expires
        self._bucket = TokenBucket(app.rate_limit_rps)
        self._quota = Quota(app.quota)
        self._now_s = now_s

    def is_of(self, api_id: bytes, api_secret: bytes) -> bool:
        """Whether both are right; the time tells nothing of how nearly."""
        is_id = hmac.compare_digest(api_id, self._id)
        return hmac.compare_digest(api_secret, self._secret) and is_id

    def enter(self) -> None:
        """Count a call.

        Raises:
            LinkfaceError: KEY_EXPIRED, OUT_OF_QUOTA.
            RequestError: FULL.
        """
        today = datetime.fromtimestamp(self._now_s(), timezone.utc).date()
        if self._expires is not None and today > self._expires:
            raise LinkfaceError(
                LinkfaceStatus.KEY_EXPIRED,
                f"the account was valid until {self._expires.isoformat()}, the box's clock says "
                f"{today.isoformat()} (UTC)",
                hint="set a later `expires`, or the box's clock",
            )
        self._bucket.take("this api_id")
        self._quota.take(today)


class Accounts:
    """All clients."""

    def __init__(self, apps: Sequence[LinkfaceApp], now_s: Callable[[], float] = time.time) -> None:
        """Know them.

        Raises:
            SetupError: CONFIG_ADD_FAIL when two have one id.
        """
        names = (app.api_id for app in apps)
        require_distinct(names, "linkface.apps", hint="give each api_id one secret")
        self._accounts = tuple(Account(app, now_s) for app in apps)

    def enter(self, api_id: str, api_secret: str) -> None:
        """Let a caller in, and count the call.

        Raises:
            LinkfaceError: UNAUTHORIZED, KEY_EXPIRED, OUT_OF_QUOTA.
            RequestError: FULL.
        """
        # Every account is compared, so that the time does not tell which one came near.
        given = (api_id.encode(), api_secret.encode())
        known = [account for account in self._accounts if account.is_of(*given)]
        if not known:
            raise LinkfaceError(
                LinkfaceStatus.UNAUTHORIZED,
                "api_id and api_secret are missing or wrong",
                hint="send both, in the query or in the form",
            )
        known[0].enter()
