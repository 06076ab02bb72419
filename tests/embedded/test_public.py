"""What everybody may read without an account: pages and both versions of the API alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.embedded.conftest import Running, block, raw_dataset


@pytest.mark.parametrize(
    ("public", "seen"),
    [(None, ["open"]), ("published", ["open"]), ("datasets", ["closed", "open"]), ("nothing", [])],
)
def test_what_is_read_without_an_account(served: Callable[..., Running], public: Any, seen: list[str]) -> None:
    catalogue = served(public=public)
    admin, nobody, newer = catalogue.client("admin"), catalogue.client(), catalogue.client("", "v4")
    for name in ("closed", "open"):
        admin.post("datasets", raw_dataset(name, isPublished=name == "open", proposalId="P1"))
        admin.post("datasets/{}/origdatablocks", block(1) | {"isPublished": name == "open"}, f"20.500.1/{name}")
    admin.post("proposals", {"proposalId": "P1", "title": "t", "email": "a@b.org", "ownerGroup": "g1"})
    admin.post("instruments", {"uniqueName": "bl07", "name": "BL 7"})

    assert sorted(one["datasetName"] for one in nobody.get("datasets").json()) == seen
    assert nobody.get("datasets/count").json() == {"count": len(seen)}
    assert len(nobody.get("origdatablocks").json()) == len(seen)
    assert sorted(one["datasetName"] for one in newer.get("datasets/public").json()) == seen
    assert newer.get("datasets").status_code == (200 if public == "datasets" else 403)
    for name in ("closed", "open"):
        status = 200 if name in seen else 403
        assert nobody.get("datasets/{}", f"20.500.1/{name}").status_code == status
        assert nobody.get("datasets/{}/attachments", f"20.500.1/{name}").status_code == status
        assert newer.get("datasets/{}", f"20.500.1/{name}").status_code == status
    assert nobody.get("proposals").json() == []
    assert len(nobody.get("instruments").json()) == (public != "nothing")
    assert nobody.get("health").status_code == 200
    # Whoever logs in sees at least as much.
    assert set(seen) <= {one["datasetName"] for one in catalogue.client("bl07").get("datasets").json()}

    port = catalogue.url.rpartition(":")[2]
    page = requests.get(catalogue.url, headers={"host": f"catalogue.example.org:{port}"}, timeout=120)
    assert (page.status_code == 403, ">closed<" in page.text, ">open<" in page.text) == (
        public == "nothing",
        "closed" in seen,
        "open" in seen,
    )
    local = requests.get(catalogue.url, timeout=120).text
    assert (">closed<" in local) == (public in (None, "datasets"))


def test_a_page_without_published_datasets_says_how_many_there_are(served: Callable[..., Running]) -> None:
    catalogue = served(public="published")
    catalogue.client("admin").post("datasets", raw_dataset())
    text = requests.get(catalogue.url, timeout=120).text
    assert "None of the 1 datasets is published" in text
