"""API v4: which function answers which request. Logins, proposals, samples and instruments are in API v3 only."""

from __future__ import annotations

from scicat_watch.embedded import attachments_v4 as attachments
from scicat_watch.embedded import blocks_v4 as blocks
from scicat_watch.embedded import datasets as any_version
from scicat_watch.embedded import datasets_v4 as datasets
from scicat_watch.embedded import works
from scicat_watch.embedded.api_v3 import records_routes
from scicat_watch.embedded.routing import Route, Router

ROUTER = Router(
    [
        Route("POST", "datasets", datasets.create),
        Route("POST", "datasets/isValid", datasets.is_valid),
        Route("GET", "datasets", datasets.find),
        Route("GET", "datasets/count", datasets.count),
        Route("GET", "datasets/findOne", datasets.find_one),
        Route("GET", "datasets/fullquery", datasets.full_query),
        Route("GET", "datasets/fullfacet", any_version.full_facet),
        Route("GET", "datasets/metadataKeys", any_version.metadata_keys),
        Route("PATCH", "datasets/{pid}/datasetlifecycle", any_version.patch_lifecycle),
        Route("GET", "datasets/public", datasets.find_public),
        Route("GET", "datasets/public/count", datasets.count_public),
        Route("GET", "datasets/public/findOne", datasets.find_one_public),
        Route("GET", "datasets/public/{pid}", datasets.read_public),
        Route("GET", "datasets/{pid}", datasets.read),
        Route("PATCH", "datasets/{pid}", datasets.patch),
        Route("PUT", "datasets/{pid}", datasets.put),
        Route("DELETE", "datasets/{pid}", datasets.delete),
        Route("POST", "origdatablocks", blocks.add),
        Route("POST", "origdatablocks/isValid", blocks.is_valid),
        Route("GET", "origdatablocks", blocks.find),
        Route("GET", "origdatablocks/public", blocks.find_public),
        Route("GET", "origdatablocks/files", blocks.files),
        Route("GET", "origdatablocks/count", blocks.count),
        Route("GET", "origdatablocks/{id}", blocks.read),
        Route("PATCH", "origdatablocks/{id}", blocks.patch),
        Route("DELETE", "origdatablocks/{id}", blocks.delete),
        Route("POST", "attachments", attachments.add),
        Route("POST", "attachments/isValid", attachments.is_valid),
        Route("GET", "attachments", attachments.find),
        Route("GET", "attachments/public", attachments.find_public),
        Route("GET", "attachments/count", attachments.count),
        Route("GET", "attachments/{aid}", attachments.read),
        Route("PATCH", "attachments/{aid}", attachments.patch),
        Route("PUT", "attachments/{aid}", attachments.put),
        Route("DELETE", "attachments/{aid}", attachments.delete),
        *records_routes("jobs", works.jobs_v4),
        *records_routes("publisheddata", works.publications_v4),
    ]
)
