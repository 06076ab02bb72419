"""API v4: which function answers which request. Logins, proposals, samples and instruments are in API v3 only."""

from __future__ import annotations

from scicat_watch.embedded import datasets as any_version
from scicat_watch.embedded import rules_datasets, rules_parts, works
from scicat_watch.embedded.blocks import PATCHABLE
from scicat_watch.embedded.recordroutes import records_routes
from scicat_watch.embedded.routing import ANYTHING, Route, Router
from scicat_watch.embedded.v4 import attachments, blocks, datasets

ROUTER = Router(
    [
        Route("POST", "datasets", datasets.create, body=rules_datasets.DATASET_V4),
        Route("POST", "datasets/isValid", datasets.is_valid, body=rules_datasets.DATASET_V4),
        Route("GET", "datasets", datasets.find, query=("filter",)),
        Route("GET", "datasets/count", datasets.count, query=("filter",)),
        Route("GET", "datasets/findOne", datasets.find_one, query=("filter",)),
        Route("GET", "datasets/fullquery", datasets.full_query, query=("fields", "limits")),
        Route("GET", "datasets/fullfacet", any_version.full_facet, query=("fields", "facets")),
        Route("GET", "datasets/metadataKeys", any_version.metadata_keys, query=("fields", "limits")),
        Route("PATCH", "datasets/{pid}/datasetlifecycle", any_version.patch_lifecycle, body=ANYTHING),
        Route("GET", "datasets/public", datasets.find_public, query=("filter",)),
        Route("GET", "datasets/public/count", datasets.count_public, query=("filter",)),
        Route("GET", "datasets/public/findOne", datasets.find_one_public, query=("filter",)),
        Route("GET", "datasets/public/{pid}", datasets.read_public, query=("filter", "include")),
        Route("GET", "datasets/{pid}", datasets.read, query=("filter", "include")),
        Route("PATCH", "datasets/{pid}", datasets.patch, body=rules_datasets.DATASET_V4.for_changes("pid", "type")),
        Route("PUT", "datasets/{pid}", datasets.put, body=rules_datasets.DATASET_V4.without("pid", "type")),
        Route("DELETE", "datasets/{pid}", datasets.delete),
        Route("POST", "origdatablocks", blocks.add, body=rules_parts.BLOCK),
        Route("POST", "origdatablocks/isValid", blocks.is_valid, body=rules_parts.BLOCK),
        Route("GET", "origdatablocks", blocks.find, query=("filter",)),
        Route("GET", "origdatablocks/public", blocks.find_public, query=("filter",)),
        Route("GET", "origdatablocks/files", blocks.files, query=("filter",)),
        Route("GET", "origdatablocks/count", blocks.count, query=("filter",)),
        Route("GET", "origdatablocks/{id}", blocks.read),
        Route("PATCH", "origdatablocks/{id}", blocks.patch, body=PATCHABLE),
        Route("DELETE", "origdatablocks/{id}", blocks.delete),
        Route("POST", "attachments", attachments.add, body=rules_parts.ATTACHMENT_V4),
        Route("POST", "attachments/isValid", attachments.is_valid, body=rules_parts.ATTACHMENT_V4),
        Route("GET", "attachments", attachments.find, query=("filter",)),
        Route("GET", "attachments/public", attachments.find_public, query=("filter",)),
        Route("GET", "attachments/count", attachments.count, query=("filter",)),
        Route("GET", "attachments/{aid}", attachments.read),
        Route("PATCH", "attachments/{aid}", attachments.patch, body=rules_parts.ATTACHMENT_V4.for_changes("aid")),
        Route("PUT", "attachments/{aid}", attachments.put, body=rules_parts.ATTACHMENT_V4.without("aid")),
        Route("DELETE", "attachments/{aid}", attachments.delete),
        *records_routes("jobs", works.jobs_v4),
        *records_routes("publisheddata", works.publications_v4),
    ]
)
