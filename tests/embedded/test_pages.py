"""The pages over HTTP."""

from __future__ import annotations

import base64
import html
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from PIL import Image

from scicat_watch.embedded import pages
from scicat_watch.embedded.thumbnails import thumbnail as parsed
from tests.embedded.conftest import Client, Running, block, raw_dataset


def png() -> str:
    content = io.BytesIO()
    Image.new("RGB", (4, 3), "teal").save(content, "png")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def page(running: Running, path: str = "/", **headers: str) -> str:
    return requests.get(running.url + path, headers=headers, timeout=120).text


def add(client: Client, name: str, **fields: Any) -> str:
    answer = client.post("datasets", raw_dataset(name, **fields))
    assert answer.status_code == 201
    return str(answer.json()["pid"])


def attach(client: Client, pid: str, thumbnail: str) -> None:
    body = {"caption": "a <b>thumbnail</b>", "ownerGroup": "x", "thumbnail": thumbnail}
    assert client.post("datasets/{}/attachments", body, pid).status_code == 201


def test_the_list_shows_the_newest_first_with_thumbnail_size_and_files(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    assert "No datasets yet" in page(catalogue)
    add(client, "older_scan")
    pid = add(client, "newer_scan")
    client.post("datasets/{}/origdatablocks", block(1_500_000_000), pid)
    attach(client, pid, png())
    html = page(catalogue)
    assert html.index("newer_scan") < html.index("older_scan")
    assert "1.5 GB" in html
    assert "2024-05-01 08:00:00 UTC" in html
    (source,) = re.findall(r'<img src="(/thumbnails/[^"]+)"', html)
    answer = requests.get(catalogue.url + source, timeout=120)
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (4, 3)


def test_the_search_looks_into_names_ids_keywords_and_proposals(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    add(client, "films_1", keywords=["SAXS"], proposalId="PR77")
    add(client, "filmsx1")
    for words in ("films_1", "FILMS_1 saxs", "saxs", "pr77", "20.500.1/films_1"):
        html = page(catalogue, f"/?q={words}")
        assert "films_1" in html, words
        assert "filmsx1" not in html, words
    assert "No dataset matches" in page(catalogue, "/?q=100%25")


def test_long_lists_have_pages(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    for number in range(pages.DATASETS_PER_PAGE + 1):
        add(client, f"scan_{number:03d}")
    first, second = page(catalogue), page(catalogue, "/?page=2")
    assert "page 1 of 2" in first
    assert "scan_000" not in first
    assert "scan_000" in second
    for odd in ("-1", "x", "9" * 30, "²"):
        assert "page" in page(catalogue, f"/?page={odd}")


def test_a_dataset_shows_fields_metadata_files_and_thumbnails(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    tree = {"energy": {"value": 12.4, "unit": "keV"}, "detector": {"distance": {"value": 1.5, "unit": "m"}, "on": True}}
    pid = add(client, "scan_1", scientificMetadata=tree)
    client.post("datasets/{}/origdatablocks", block(*range(300)), pid)
    attach(client, pid, png())
    html = page(catalogue, "/datasets/20.500.1%2Fscan_1")
    assert re.search(r"energy</span>\s*<span class=\"value\">12.4</span> <span class=\"unit\">keV", html)
    assert re.search(r"<summary>.*detector", html)
    assert "Prof. P" in html
    assert 'src="data:image/png;base64,' in html
    assert "a &lt;b&gt;thumbnail&lt;/b&gt;" in html
    assert "page 1 of 2" in html
    assert "299.h5" not in html
    assert "299.h5" in page(catalogue, "/datasets/20.500.1%2Fscan_1?files=2")


def test_everything_from_files_is_escaped(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
    tree = {evil: {"value": evil, "unit": evil}, "nested": {evil: {evil: evil}}}
    add(client, evil, scientificMetadata=tree, description=evil, keywords=[evil], owner=evil)
    files = {"size": 1, "dataFileList": [{"path": evil, "size": 1, "time": "2024-05-01T08:00:00Z"}]}
    client.post("datasets/{}/origdatablocks", files, f"20.500.1/{evil}")
    for path in ("/", f"/?q={evil}", re.findall(r'href="(/datasets/[^"]+)"', page(catalogue))[0]):
        html = page(catalogue, path)
        assert "&lt;script&gt;" in html
        assert "<script>" not in html
        assert "<img src=x" not in html


@pytest.mark.parametrize(
    "thumbnail",
    [
        "data:image/svg+xml;base64,PHN2Zz48c2NyaXB0PmFsZXJ0KDEpPC9zY3JpcHQ+PC9zdmc+",
        "data:text/html;base64,PHNjcmlwdD4=",
        "javascript:alert(1)",
        "https://example.org/x.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/png;base64,PHNjcmlwdD4=",
        "data:image/png;base64,####",
        'data:image/png;base64,iVBO" onload="alert(1)',
        "",
    ],
)
def test_what_is_no_thumbnail_is_not_shown(catalogue: Running, thumbnail: str) -> None:
    assert parsed(thumbnail) is None
    client = catalogue.client("ingestor")
    attach(client, add(client, "scan_1"), thumbnail)
    assert "<img" not in page(catalogue)
    assert "<img" not in page(catalogue, "/datasets/20.500.1%2Fscan_1")


@pytest.mark.parametrize("how", ["another address", "another name"])
def test_others_see_published_datasets_only(served: Callable[..., Running], how: str) -> None:
    running = served(host="0.0.0.0" if how == "another address" else "127.0.0.1")
    headers = {} if how == "another address" else {"Host": "evil.example.org"}
    running.url = running.url.replace("0.0.0.0", "127.0.0.1")
    client = running.client("ingestor")
    hidden, shown = add(client, "hidden_scan"), add(client, "public_scan", isPublished=True)
    for pid in (hidden, shown):
        attach(client, pid, png())
    html = page(running, **headers)
    assert "public_scan" in html
    assert "hidden_scan" not in html
    assert "1 published dataset" in html
    assert "hidden_scan" not in page(running, "/?q=hidden", **headers).replace("q=hidden", "")
    answer = requests.get(f"{running.url}/datasets/20.500.1%2Fhidden_scan", headers=headers, timeout=120)
    assert answer.status_code == 404
    assert (
        requests.get(f"{running.url}/datasets/20.500.1%2Fpublic_scan", headers=headers, timeout=120).status_code == 200
    )
    thumbnails = [client.get("datasets/{}/attachments", pid).json()[0]["id"] for pid in (hidden, shown)]
    answers = [requests.get(f"{running.url}/thumbnails/{key}", headers=headers, timeout=120) for key in thumbnails]
    assert [answer.status_code for answer in answers] == [404, 200]


def test_pages_bring_nothing_from_elsewhere_and_run_nothing_of_others(catalogue: Running) -> None:
    add(catalogue.client("ingestor"), "scan_1")
    answer = requests.get(catalogue.url, timeout=120)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.findall(r'(?:src|href)="https?:', answer.text)
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert requests.get(catalogue.url + path, timeout=120).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pages.py",
        "/static/..%2Fpages.py",
        "/static/",
        "/nowhere",
        "/thumbnails/x",
        "/datasets/x",
        "/datasets",
    ],
)
def test_other_paths_have_no_page(catalogue: Running, path: str) -> None:
    request = requests.Request("GET", catalogue.url).prepare()
    request.url = catalogue.url + path  # As it is: no client tidies it.
    assert requests.Session().send(request, timeout=120).status_code == 404


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_on_a_narrow_screen_no_page_is_cut_off(catalogue: Running, tmp_path: Path) -> None:
    client = catalogue.client("ingestor")
    description = "Temperature dependence of spin waves in garnets, the second try"
    pid = add(client, "a_scan_with_a_rather_long_name_00042", description=description, isPublished=True)
    client.post(f"datasets/{quote(pid, safe='')}/origdatablocks", block(1))
    link = '<link rel="stylesheet" href="/static/style.css">'
    style = requests.get(f"{catalogue.url}/static/style.css", timeout=60).text
    frames = ""
    for path in ("/", "/explorer", f"/datasets/{quote(pid, safe='')}"):
        shown = page(catalogue, path).replace(link, f"<style>{style}</style>")
        assert "<style>" in shown
        frames += f'<iframe width="400" height="700" srcdoc="{html.escape(shown)}"></iframe>'
    script = "document.title = Array.from(frames, f => f.document.documentElement.scrollWidth <= f.innerWidth).join()"
    outer = tmp_path / "frames.html"
    outer.write_text(f"<body onload='{script}'>{frames}</body>")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    dumped = subprocess.run(
        [*map(str, command), "--dump-dom", f"file://{outer}"], capture_output=True, text=True, timeout=300, check=True
    )
    assert "<title>true,true,true</title>" in dumped.stdout, dumped.stdout[:200]


def test_the_version_moves_when_something_arrives(catalogue: Running) -> None:
    client = catalogue.client("ingestor")
    before = page(catalogue, "/latest")
    assert f'data-version="{before}"' in page(catalogue)
    assert page(catalogue, "/latest") == before
    add(client, "scan_1")
    assert page(catalogue, "/latest") != before


def test_large_metadata_is_truncated_and_the_page_says_so() -> None:
    nodes = pages.Nodes({str(number): {"value": number} for number in range(pages.MOST_NODES + 5)})
    assert nodes.truncated
    assert len(nodes.roots) == pages.MOST_NODES
    deep: Any = 1
    for _ in range(500):
        deep = {"x": deep}
    assert not pages.Nodes(deep).truncated


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e15, "2.5 PB"), (None, "0 B")]
)
def test_sizes_in_words(size: Any, words: str) -> None:
    assert pages.in_words(size) == words
