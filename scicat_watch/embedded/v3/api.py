"""API v3: which function answers which request."""

from __future__ import annotations

from collections.abc import Iterator

from scicat_watch.embedded import datasets as any_version
from scicat_watch.embedded import rules_datasets, rules_parts, works
from scicat_watch.embedded.blocks import PATCHABLE
from scicat_watch.embedded.recordroutes import records_routes
from scicat_watch.embedded.routing import ANYTHING, Route, Router
from scicat_watch.embedded.v3 import blocks, datasets, logins
from scicat_watch.embedded.v3.attachments import OF_DATASETS, OF_PROPOSALS, OF_SAMPLES, Nested, thumbnail
from scicat_watch.embedded.v3.records import instruments, policies, proposals, sample_keys, samples
from scicat_watch.embedded.validation import Rules, text

LOGIN = Rules({"username": text, "password": text}, frozenset({"username", "password"}))

_OWN = [
    Route("POST", "auth/login", logins.log_in, body=LOGIN),
    Route("POST", "auth/ldap", logins.log_in, body=LOGIN),
    Route("POST", "auth/msad", logins.log_in, body=LOGIN),
    Route("POST", "auth/logout", logins.log_out),
    Route("GET", "auth/whoami", logins.who_am_i),
    Route("POST", "users/login", logins.old_log_in),
    Route("POST", "users/logout", logins.log_out),
    Route("GET", "users/my/self", logins.myself),
    Route("GET", "users/my/identity", logins.my_identity),
    Route("GET", "users/my/settings", logins.my_settings),
    Route("GET", "health", logins.health),
    Route("GET", "admin/config", logins.config),
    Route("POST", "datasets", datasets.create, body=rules_datasets.RAW),
    Route("POST", "datasets/isValid", datasets.is_valid, body=rules_datasets.RAW),
    Route("GET", "datasets", datasets.find, query=("filter",)),
    Route("GET", "datasets/count", datasets.count, query=("filter",)),
    Route("GET", "datasets/findOne", datasets.find_one, query=("filter",)),
    Route("GET", "datasets/fullquery", datasets.full_query, query=("fields", "limits")),
    Route("GET", "datasets/fullfacet", any_version.full_facet, query=("fields", "facets")),
    Route("GET", "datasets/metadataKeys", any_version.metadata_keys, query=("fields", "limits")),
    Route("GET", "datasets/{pid}", datasets.read, query=("filter",)),
    Route("PATCH", "datasets/{pid}", datasets.patch, body=rules_datasets.RAW.for_changes("pid", "type", "version")),
    Route("PUT", "datasets/{pid}", datasets.put, body=rules_datasets.RAW.without("pid", "type")),
    Route("DELETE", "datasets/{pid}", datasets.delete),
    Route("GET", "datasets/{pid}/datasetlifecycle", any_version.lifecycle),
    Route("PATCH", "datasets/{pid}/datasetlifecycle", any_version.patch_lifecycle, body=ANYTHING),
    Route("POST", "datasets/{pid}/appendToArrayField", any_version.append, query=("fieldName", "data")),
    Route("GET", "datasets/{pid}/thumbnail", thumbnail),
    Route("POST", "datasets/{pid}/origdatablocks", blocks.add_nested, body=rules_parts.NESTED_BLOCK),
    Route("GET", "datasets/{pid}/origdatablocks", blocks.nested),
    Route("GET", "datasets/{pid}/origdatablocks/count", blocks.count_nested),
    Route("DELETE", "datasets/{pid}/origdatablocks", blocks.delete_all_nested),
    Route("PATCH", "datasets/{pid}/origdatablocks/{id}", blocks.patch_nested, body=rules_parts.NESTED_BLOCK),
    Route("DELETE", "datasets/{pid}/origdatablocks/{id}", blocks.delete_nested),
    Route("POST", "origdatablocks", blocks.add, body=rules_parts.BLOCK),
    Route("GET", "origdatablocks", blocks.find, query=("filter",)),
    Route("GET", "origdatablocks/count", blocks.count, query=("filter",)),
    Route("GET", "origdatablocks/fullquery", blocks.full_query, query=("fields", "limits")),
    Route("GET", "origdatablocks/fullquery/files", blocks.full_query_files, query=("fields", "limits")),
    Route("GET", "origdatablocks/fullfacet", blocks.full_facet, query=("fields", "facets")),
    Route("GET", "origdatablocks/{id}", blocks.read),
    Route("PATCH", "origdatablocks/{id}", blocks.patch, body=PATCHABLE),
    Route("DELETE", "origdatablocks/{id}", blocks.delete),
    Route("GET", "publisheddata/formpopulate", works.form_populate, query=("pid",)),
    Route("GET", "proposals/fullfacet", proposals.full_facet, query=("fields", "facets")),
    Route("GET", "proposals/{id}/datasets", datasets.of_proposal, query=("filter",)),
    Route("GET", "samples/{id}/datasets", datasets.of_sample, query=("filter",)),
    Route("GET", "samples/metadataKeys", sample_keys, query=("fields", "limits")),
]


def _nested(parent: str, nested: Nested) -> Iterator[Route]:
    path = f"{parent}/attachments"
    yield Route("POST", path, nested.add, nested.rules)
    yield Route("GET", path, nested.find)
    yield Route("GET", f"{path}/count", nested.count)
    yield Route("DELETE", path, nested.delete_all)
    yield Route("PUT", f"{path}/{{aid}}", nested.replace, nested.rules)
    yield Route("DELETE", f"{path}/{{aid}}", nested.delete)


ROUTER = Router(
    [
        *_OWN,
        *records_routes("proposals", proposals),
        *records_routes("samples", samples),
        *records_routes("instruments", instruments),
        *records_routes("policies", policies),
        *records_routes("jobs", works.jobs_v3),
        *records_routes("publisheddata", works.publications_v3),
        *_nested("datasets/{pid}", OF_DATASETS),
        *_nested("proposals/{id}", OF_PROPOSALS),
        *_nested("samples/{id}", OF_SAMPLES),
    ]
)
