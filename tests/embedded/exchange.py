"""Plays recorded requests against a server, and compares what it answers with the record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{24}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class Player:
    """One server; what varies from run to run is replaced in its answers: tokens, ids, times near now."""

    def __init__(self, base: str, passwords: Mapping[str, str]) -> None:
        self._base, self._passwords = base.rstrip("/"), passwords
        self._tokens: dict[str, str] = {}
        self._kept: dict[str, Any] = {}
        self._ids: dict[str, str] = {}
        self._start = datetime.now(UTC) - timedelta(minutes=2)

    def play(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """Status and normalised answer of one step; what it keeps is filled into later ones."""
        query = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self._filled(step.get("query") or {}).items()
        }
        token = self._token(step["as"]) if step.get("as") else None
        status, answer = self._call(
            step["method"], self._filled(step["path"]), query, self._filled(step.get("body")), token
        )
        for name, where in (step.get("keep") or {}).items():
            self._kept[name] = _member(answer, where)
        return {"status": status, "answer": self._normalised(answer)}

    def _call(self, method: str, path: str, query: Mapping[str, str], body: Any, token: str | None) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body)
        answer = requests.request(method, self._base + path, params=query, data=data, headers=headers, timeout=120)
        try:
            return answer.status_code, answer.json() if answer.content else None
        except ValueError:
            return answer.status_code, answer.text

    def _token(self, account: str) -> str:
        if account not in self._tokens:
            body = {"username": account, "password": self._passwords[account]}
            status, answer = self._call("POST", "/api/v3/auth/login", {}, body, None)
            assert status in (200, 201), f"cannot log in as {account}: {status} {answer}"
            self._tokens[account] = answer.get("access_token") or answer["id"]
        return self._tokens[account]

    def _filled(self, part: Any) -> Any:
        if isinstance(part, str):
            return re.sub(r"\{(\w+)\}", lambda found: str(self._kept.get(found[1], found[0])), part)
        if isinstance(part, dict):
            return {key: self._filled(value) for key, value in part.items()}
        return [self._filled(value) for value in part] if isinstance(part, list) else part

    def _normalised(self, part: Any, key: str = "") -> Any:
        if isinstance(part, dict):
            return {name: self._normalised(value, name) for name, value in sorted(part.items())}
        if isinstance(part, list):
            return [self._normalised(value, key) for value in part]
        if not isinstance(part, str):
            return "<ttl>" if key in ("expires_in", "ttl") else part
        if part in self._tokens.values() or _TOKEN.fullmatch(part):
            return "<token>"
        return _ID.sub(
            lambda found: self._ids.setdefault(found[0], f"<id {len(self._ids) + 1}>"), _TIME.sub(self._time, part)
        )

    def _time(self, found: re.Match[str]) -> str:
        moment = datetime.fromisoformat(found[0].replace("Z", "+00:00"))
        if abs((moment - self._start).total_seconds()) < 3600:
            return "<now>"
        return "<later>" if moment > self._start else found[0]


def _member(answer: Any, where: str) -> Any:
    for part in where.split("."):
        answer = answer[int(part)] if isinstance(answer, list) else (answer or {}).get(part)
    return answer


def differences(expected: Any, got: Any, where: str = "") -> Iterator[str]:
    """A line for each place at which two answers differ."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted(expected.keys() | got.keys()):
            if key not in expected or key not in got:
                yield f"{where}.{key}: {'not expected' if key not in expected else 'missing'}"
            else:
                yield from differences(expected[key], got[key], f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for number, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from differences(one, other, f"{where}[{number}]")
    elif expected != got:
        yield f"{where}: expected {json.dumps(expected)[:120]}, got {json.dumps(got)[:120]}"
