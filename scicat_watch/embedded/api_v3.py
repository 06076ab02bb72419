"""API v3: which function answers which request."""

from __future__ import annotations

from collections.abc import Iterator

from scicat_watch.embedded import blocks_v3 as blocks
from scicat_watch.embedded import datasets as any_version
from scicat_watch.embedded import datasets_v3 as datasets
from scicat_watch.embedded import logins_v3 as logins
from scicat_watch.embedded import works
from scicat_watch.embedded.attachments_v3 import OF_DATASETS, OF_PROPOSALS, OF_SAMPLES, Nested, thumbnail
from scicat_watch.embedded.records import Records
from scicat_watch.embedded.records_v3 import instruments, policies, proposals, sample_keys, samples
from scicat_watch.embedded.routing import Route, Router

_OWN = [
    Route("POST", "auth/login", logins.log_in),
    Route("POST", "auth/ldap", logins.log_in),
    Route("POST", "auth/msad", logins.log_in),
    Route("POST", "auth/logout", logins.log_out),
    Route("GET", "auth/whoami", logins.who_am_i),
    Route("POST", "users/login", logins.old_log_in),
    Route("POST", "users/logout", logins.log_out),
    Route("GET", "users/my/self", logins.myself),
    Route("GET", "users/my/identity", logins.my_identity),
    Route("GET", "users/my/settings", logins.my_settings),
    Route("GET", "health", logins.health),
    Route("GET", "admin/config", logins.config),
    Route("POST", "datasets", datasets.create),
    Route("POST", "datasets/isValid", datasets.is_valid),
    Route("GET", "datasets", datasets.find),
    Route("GET", "datasets/count", datasets.count),
    Route("GET", "datasets/findOne", datasets.find_one),
    Route("GET", "datasets/fullquery", datasets.full_query),
    Route("GET", "datasets/fullfacet", any_version.full_facet),
    Route("GET", "datasets/metadataKeys", any_version.metadata_keys),
    Route("GET", "datasets/{pid}", datasets.read),
    Route("PATCH", "datasets/{pid}", datasets.patch),
    Route("DELETE", "datasets/{pid}", datasets.delete),
    Route("GET", "datasets/{pid}/datasetlifecycle", any_version.lifecycle),
    Route("PATCH", "datasets/{pid}/datasetlifecycle", any_version.patch_lifecycle),
    Route("POST", "datasets/{pid}/appendToArrayField", any_version.append),
    Route("GET", "datasets/{pid}/thumbnail", thumbnail),
    Route("POST", "datasets/{pid}/origdatablocks", blocks.add_nested),
    Route("GET", "datasets/{pid}/origdatablocks", blocks.nested),
    Route("GET", "datasets/{pid}/origdatablocks/count", blocks.count_nested),
    Route("DELETE", "datasets/{pid}/origdatablocks", blocks.delete_all_nested),
    Route("PATCH", "datasets/{pid}/origdatablocks/{id}", blocks.patch_nested),
    Route("DELETE", "datasets/{pid}/origdatablocks/{id}", blocks.delete_nested),
    Route("POST", "origdatablocks", blocks.add),
    Route("GET", "origdatablocks", blocks.find),
    Route("GET", "origdatablocks/count", blocks.count),
    Route("GET", "origdatablocks/{id}", blocks.read),
    Route("PATCH", "origdatablocks/{id}", blocks.patch),
    Route("DELETE", "origdatablocks/{id}", blocks.delete),
    Route("GET", "publisheddata/formpopulate", works.form_populate),
    Route("GET", "proposals/fullfacet", proposals.full_facet),
    Route("GET", "proposals/{id}/datasets", datasets.of_proposal),
    Route("GET", "samples/{id}/datasets", datasets.of_sample),
    Route("GET", "samples/metadataKeys", sample_keys),
]


def _nested(parent: str, nested: Nested) -> Iterator[Route]:
    path = f"{parent}/attachments"
    yield Route("POST", path, nested.add)
    yield Route("GET", path, nested.find)
    yield Route("GET", f"{path}/count", nested.count)
    yield Route("DELETE", path, nested.delete_all)
    yield Route("PUT", f"{path}/{{aid}}", nested.replace)
    yield Route("DELETE", f"{path}/{{aid}}", nested.delete)


def records_routes(name: str, records: Records) -> Iterator[Route]:
    """What all kinds of records have."""
    yield Route("POST", name, records.create)
    yield Route("GET", name, records.find)
    yield Route("GET", f"{name}/count", records.count)
    yield Route("GET", f"{name}/findOne", records.find_one)
    yield Route("GET", f"{name}/fullquery", records.full_query)
    yield Route("GET", f"{name}/{{id}}", records.read)
    yield Route("PATCH", f"{name}/{{id}}", records.patch)
    yield Route("DELETE", f"{name}/{{id}}", records.delete)


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
