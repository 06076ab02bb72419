from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scicat_watch.catalogue.answers import NotJson, complaint, parsed, seconds_to_wait


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"message":["property bogus should not exist","size must be an integer number"],"statusCode":400}',
            "property bogus should not exist; size must be an integer number",
        ),
        (
            (
                b'{"status":400,"message":"[{\\"property\\":\\"owner\\",\\"children\\":[],'
                b'\\"constraints\\":{\\"isString\\":\\"owner must be a string\\"}}]"}'
            ),
            "owner must be a string",
        ),
        (
            (
                b'{"status":400,"message":"[{\\"property\\":\\"contactEmail\\",\\"constraints\\":'
                b'{\\"mail\\":\\"Expected an email, got undefined\\"}}]"}'
            ),
            "contactEmail: Expected an email, got undefined",
        ),
        (
            (
                b'{"message":"[{\\"property\\":\\"techniques\\",\\"children\\":[{\\"property\\":\\"0\\",\\"children\\":'
                b'[{\\"property\\":\\"pid\\",\\"constraints\\":{\\"isString\\":\\"pid must be a string\\"}}]}]}]"}'
            ),
            "techniques.0.pid: pid must be a string",
        ),
        (b'"Internal server error"', "Internal server error"),
        (b'{"message":"Forbidden resource","error":"Forbidden","statusCode":403}', "Forbidden resource"),
        (b'{"errors":{"pid":{"kind":"required"}},"name":"ValidationError"}', "pid is not valid"),
        (b"", "no reason given"),
        (b"<html>", "the answer is not SciCat's (no JSON)"),
        (b'{"message":"{broken"}', "{broken"),
    ],
)
def test_every_shape_of_complaint_is_readable_and_names_the_field(body: bytes, said: str) -> None:
    assert complaint(body) == said


def test_an_endless_complaint_is_cut() -> None:
    assert len(complaint(b'"' + b"x" * 100_000 + b'"')) < 3000


def test_an_empty_answer_is_nothing_and_html_is_an_error() -> None:
    assert parsed(b"") is None
    with pytest.raises(NotJson):
        parsed(b"<html>")
    with pytest.raises(NotJson):
        parsed(b"[" * 100_000)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17.0), ("Mon, 04 May 2026 08:01:00 GMT", 60.0), ("Mon, 04 May 2026 07:00:00 GMT", 0.0), ("soon", None)],
)
def test_a_time_to_come_back_is_understood(header: str, seconds: float | None) -> None:
    assert seconds_to_wait(header, datetime(2026, 5, 4, 8, 0, tzinfo=UTC)) == seconds
