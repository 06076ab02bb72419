"""A silence is said once in the log, however often it is looked."""

from __future__ import annotations

import pytest

from scicat_watch.catalogue.silence import Silence, Unanswered
from scicat_watch.service.unanswered import UnansweredLog
from tests.fakes import FakeClock


class Publisher:
    """Knows one request."""

    def __init__(self, clock: FakeClock) -> None:
        self.silence = Silence(clock, timeout=600.0)

    def unanswered(self) -> Unanswered | None:
        return self.silence.longest()


def test_a_silence_is_said_once_and_a_later_one_again(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher(clock)
    said = UnansweredLog(publisher, clock)  # type: ignore[arg-type]

    def look(seconds: int) -> list[str]:
        caplog.clear()
        for _ in range(seconds):
            clock.advance(1)
            said.step()
        return caplog.messages

    assert look(30) == []
    publisher.silence.begun("POST datasets")
    assert look(100) == ["the catalogue has not answered POST datasets for 5 s; it is waited for"]
    publisher.silence.ended("POST datasets", answered=True)
    publisher.silence.begun("POST datasets/1/attachments")
    assert look(50) == [], "the catalogue is slow, which was said"
    publisher.silence.ended("POST datasets/1/attachments", answered=True)
    assert look(70) == []
    publisher.silence.begun("POST datasets")
    assert len(look(20)) == 1
