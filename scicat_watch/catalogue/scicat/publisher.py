"""A SciCat as a publisher: documents become requests to its API, by the policy that is asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scicat_watch.catalogue.memory import Memory, ShortMemory
from scicat_watch.catalogue.publisher import Account, Published, UpdatePolicy
from scicat_watch.catalogue.scicat.account import account
from scicat_watch.catalogue.scicat.api import ScicatApi, Unreadable
from scicat_watch.catalogue.scicat.complete import Completion, find
from scicat_watch.catalogue.scicat.latecheck import REFUSED, LateChecks, OneByOne
from scicat_watch.catalogue.scicat.parts import split
from scicat_watch.catalogue.scicat.versions import Versions
from scicat_watch.clock import Clock
from scicat_watch.documents import Bundle, Dataset
from scicat_watch.errors import Refused, Unavailable

if TYPE_CHECKING:
    from scicat_watch.catalogue.difference import Difference
    from scicat_watch.catalogue.scicat.update import Update
    from scicat_watch.catalogue.silence import Silence, Unanswered

log = logging.getLogger(__name__)

NOBODY = "scicat-watch/is-anybody-there"
"""Id of a dataset that no catalogue has: asking for it shows whether our account is known."""


class ScicatPublisher:
    """Publishes by way of one SciCat API."""

    def __init__(
        self,
        api: ScicatApi | Versions,
        stopping: threading.Event,
        clock: Clock,
        memory: Memory | None = None,
        timeout: float = 30.0,
        silence: Silence | None = None,
    ) -> None:
        """`api`: one, or those of which one is chosen when it is needed first.

        `memory`: where it is noted what we write; None: nowhere but in this process. `timeout`: seconds after which
        a request counts as not answered. `silence`: knows which of them are not; None: nobody does.
        """
        self._silence = silence
        self._given, self._stopping, self._clock, self._timeout = api, stopping, clock, timeout
        self._memory = ShortMemory() if memory is None else memory
        self._late_checks = LateChecks(self._memory, clock, timeout)
        self._alone = OneByOne()

    def ping(self, *, login: bool = False) -> None:
        """Return if SciCat answers; `login`: also if it knows our account."""
        self._given.ping()
        if login and not self._api.whoami():
            self._api.dataset(NOBODY)

    def account(self, owner_groups: Sequence[str]) -> Account:
        """Our account, and for which of these groups it may create no datasets. Writes nothing."""
        return account(self._api, owner_groups)

    def find(self, dataset: Dataset, policy: UpdatePolicy) -> Mapping[str, Any] | None:
        """The stored dataset that `policy` takes for this one; None if there is none."""
        return find(dataset, policy, self._api)

    def publish(self, bundle: Bundle, policy: UpdatePolicy) -> Published:
        """Bring SciCat to what `bundle` and `policy` say; see `catalogue.publisher`."""
        match policy.existing:
            case "update":
                with self._alone(bundle.dataset.pid):
                    return self._update(bundle, policy).publish()
            case "complete":
                blocks = split(bundle.datablocks)
                return Completion(bundle.dataset, blocks, self._api, self._clock, self._stopping).publish(policy)

    def late_check(self) -> None:
        """Make the late checks that are due, one after the other."""
        while not self._stopping.is_set() and (due := self._late_checks.due()) is not None:
            late_check, bundle = due
            with self._alone(bundle.dataset.pid):
                if self._late_checks.due() != due:
                    continue  # It was published anew meanwhile.
                try:
                    update = self._update(bundle, UpdatePolicy())
                    if update.late_check():
                        log.warning(
                            "%s: a write that had not been answered arrived late; what it had changed was undone",
                            late_check.pid,
                        )
                except Unreadable as error:  # Without reading, nothing was written a second time.
                    log.debug("%s: is not read again: %s", late_check.pid, error)
                    self._late_checks.settled(late_check.pid)
                except Refused as error:
                    reason = f"what a late write has left in the catalogue cannot be removed: {error}"
                    log.error("%s: %s", late_check.pid, reason)
                    self._late_checks.failed(late_check, reason, REFUSED)
                except Unavailable as error:
                    self._late_checks.failed(late_check, str(error), self._timeout)
                    raise
                else:
                    if self._late_checks.made(late_check):
                        update.settle()

    def unanswered(self) -> Unanswered | None:
        """The request that has had no answer for longest."""
        return None if self._silence is None else self._silence.longest()

    def _update(self, bundle: Bundle, policy: UpdatePolicy) -> Update:
        from scicat_watch.catalogue.scicat.update import Update  # Not needed where nothing is updated.

        return Update(bundle, policy, self._api, self._memory, self._late_checks, self._wait)

    def _wait(self) -> bool:
        return self._clock.wait(self._timeout, self._stopping)

    def difference(self, bundle: Bundle, policy: UpdatePolicy) -> Difference:
        """What publishing `bundle` would change."""
        from scicat_watch.catalogue.scicat.difference import difference

        return difference(bundle, self._api, policy, self._memory)

    def look_up(self, path_or_url: str) -> Any:
        """What SciCat answers to a path below its base, such as "proposals/20990042"."""
        return self._api.look_up(path_or_url)

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        self._given.close()

    @property
    def _api(self) -> ScicatApi:
        return self._given() if isinstance(self._given, Versions) else self._given
