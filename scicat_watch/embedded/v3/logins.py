"""Login, the caller's own account, and the health of the catalogue: API v3."""

from __future__ import annotations

from typing import Any

from scicat_watch.embedded.accounts import LIFETIME, Caller
from scicat_watch.embedded.web import Answer, Call, ProblemError, Served


def log_in(catalogue: Served, call: Call) -> Answer:
    """`POST /auth/login`: a token."""
    body = call.document()
    caller = catalogue.accounts.log_in(body.get("username"), body.get("password"))
    if caller is None:
        raise ProblemError(401, {"message": "Unauthorized", "statusCode": 401})
    token = catalogue.accounts.token(caller, catalogue.clock.now())
    answer: dict[str, Any] = {"access_token": token, "id": token, "expires_in": LIFETIME, "ttl": LIFETIME}
    answer |= {"created": catalogue.now(), "userId": caller.user_id}
    answer["user"] = {**_user(caller), "id": caller.user_id, "__v": 0}
    return Answer(answer, 201)


def old_log_in(catalogue: Served, call: Call) -> Answer:
    """`POST /Users/login`: 201 and nothing, as on a real backend; clients go on to `/auth/login`."""
    return Answer(status=201)


def log_out(catalogue: Served, call: Call) -> Answer:
    """`POST /auth/logout`: a token stays valid until it expires."""
    return Answer({"logout": "successful"})


def who_am_i(catalogue: Served, call: Call) -> Answer:
    """`GET /auth/whoami`: nothing if the token is invalid or expired."""
    if call.caller.anonymous:
        return Answer()
    return Answer({**_user(call.caller), "currentGroups": sorted(call.caller.groups)})


def myself(catalogue: Served, call: Call) -> Answer:
    """`GET /users/my/self`: the only route besides the login that answers 401."""
    if call.caller.anonymous:
        raise ProblemError(401, {"message": "Unauthenticated", "error": "Unauthorized", "statusCode": 401})
    return Answer({**_user(call.caller), "id": call.caller.user_id})


def health(catalogue: Served, call: Call) -> Answer:
    """`GET /health`: whether the database can be used; after a full disk, whether there is room again."""
    catalogue.store.examine()
    up = {"mongodb": {"status": "up"}}
    return Answer({"status": "ok", "info": up, "error": {}, "details": up})


def my_settings(catalogue: Served, call: Call) -> Answer:
    """`GET /users/my/settings`: the front end's; this catalogue keeps none."""
    if call.caller.anonymous:
        raise ProblemError(401, {"message": "Unauthenticated", "error": "Unauthorized", "statusCode": 401})
    settings: dict[str, Any] = {"columns": [], "filters": [], "conditions": []}
    return Answer({"userId": call.caller.user_id, "datasetCount": 25, "jobCount": 25, "externalSettings": settings})


def my_identity(catalogue: Served, call: Call) -> Answer:
    """`GET /users/my/identity`: account, address and groups as a directory service would say them."""
    if call.caller.anonymous:
        raise ProblemError(401, {"message": "Unauthenticated", "error": "Unauthorized", "statusCode": 401})
    profile: dict[str, Any] = {
        "displayName": call.caller.username,
        "username": call.caller.username,
        "email": call.caller.email,
    }
    profile |= {"accessGroups": sorted(call.caller.groups)}
    return Answer({"userId": call.caller.user_id, "authStrategy": "local", "profile": profile})


_ABSENT = (
    "archiveWorkflowEnabled", "datasetReduceEnabled", "editPublishedData", "fileserverEnabled", "jobsEnabled",
    "logbookEnabled", "policiesEnabled", "multipleDownloadEnabled",
)  # fmt: skip
_PRESENT = (
    "addDatasetEnabled", "editDatasetEnabled", "searchSamples", "metadataPreviewEnabled", "fileColorEnabled",
    "jsonMetadataEnabled", "tableSciDataEnabled", "localLoginEnabled",
)  # fmt: skip


def config(catalogue: Served, call: Call) -> Answer:
    """`GET /admin/config`: how SciCat's front end shows itself: what this catalogue has not is switched off."""
    shown = dict.fromkeys(_ABSENT, False) | dict.fromkeys(_PRESENT, True)
    return Answer({**shown, "facility": "scicat-watch", "lbBaseURL": "", "accessTokenPrefix": "Bearer "})


def _user(caller: Caller) -> dict[str, Any]:
    return {
        "_id": caller.user_id,
        "username": caller.username,
        "email": caller.email,
        "authStrategy": "local",
    }
