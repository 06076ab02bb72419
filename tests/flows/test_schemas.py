"""Schemas that people get wrong, and catalogues that answer wrong: through the installed program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from tests.catalogue.faulty import Answer, Request, SpoilingProxy
from tests.flows.program import Catalogue, Site, eventually, free_port
from tests.makers import ID, INGESTED, LIST, SCHEMA_FIELDS, append, beamtime_directory, nexus

GOOD = (
    """\
id: good
name: Good
instrument: p99
order: 20
selector: '*'
variables:
  pid: {source: SCAN, path: pid, value_type: string}
  folder: {source: SCAN, path: source_folder, value_type: string}
  title: {source: NXS, path: /entry/title, value_type: string}
schema:
  pid: {field_type: high_level, machine_name: pid, value: <pid>, type: string}
  name: {field_type: high_level, machine_name: datasetName, value: <pid>, type: string}
  text: {field_type: high_level, machine_name: description, value: <title>, type: string}
"""
    + SCHEMA_FIELDS
)
TITLE = "title: {source: NXS, path: /entry/title, value_type: string}"
FROM_PROPOSAL = "title: {source: SC, url: proposals/20990007, field: title, value_type: string}"


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    made = beamtime_directory(tmp_path / "bt")
    nexus(made / "raw" / "run_1.nxs", title="spin waves")
    append(made / "raw" / LIST, "run_1")
    return made


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "good.imsc.yml").write_text(GOOD)
    return tmp_path / "schemas"


BROKEN = {
    "not YAML": ("id: x\nname: [\n", 3),
    "no text": ("\0", None),
    "a list": ("- a\n- b\n", 1),
    "wrong type": (GOOD.replace("order: 20", "order: late"), 4),
    "wrong type of a part": (GOOD.replace(TITLE, "title: [NXS, /entry/title]"), 9),
    "an alias of itself": ("id: &a [*a]\n", 1),
    "a selector that holds itself": (GOOD.replace("selector: '*'", "selector: &a {or: [*a]}"), 5),
    "a value that holds itself": (GOOD.replace(TITLE, "title: {source: VALUE, value: &a [*a], value_type: list}"), 9),
    "an endless number": (GOOD.replace("order: 20", "order: 2" + "0" * 400), 4),
}


@pytest.mark.parametrize(("content", "line"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_schema_is_told_with_its_line_and_the_others_are_used(
    tmp_path: Path, beamtime: Path, schemas: Path, content: str, line: int | None
) -> None:
    broken = schemas / "broken.imsc.yml"
    broken.write_text(content)
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    place = f"wrong: {broken}:" + (f"{line}: " if line else " ")
    for arguments in (["config", "check"], ["config", "check", str(schemas)], ["config", "check", str(broken)]):
        checked = site.run(*arguments)
        assert checked.returncode == 2
        assert place in checked.stderr, checked.stderr
    ended = site.ingest(beamtime)
    assert ended.returncode == 0, ended.stderr
    assert str(broken) in ended.stderr
    (schemas / "good.imsc.yml").unlink()
    ended = site.run("preview", beamtime)
    assert ended.returncode == 2
    assert "no usable metadata schema" in ended.stderr


MISTAKEN = {
    "refers to itself": (TITLE, "title: {source: VALUE, value: <title>, value_type: string}", 9, "refers to itself"),
    "refer to each other": (
        TITLE,
        """title: {source: VALUE, value: <other>, value_type: string}
  other: {source: VALUE, value: <title>, value_type: string}""",
        9,
        "defined only later, in line 10",
    ),
    "unknown variable": ("value: <title>", "value: <titel>", 13, "did you mean 'title'"),
    "unknown operator": (TITLE, TITLE.replace("NXS, path:", "VALUE, operator: dirnam, value:"), 9, "'dirname'"),
    "unknown type": ("value: <pid>, type: string", "value: <pid>, type: strin", 11, "'string'"),
    "unknown field": ("machine_name: description", "machine_name: descripton", 13, "did you mean 'description'"),
    "twice": ("machine_name: description", "machine_name: datasetName", 13, "made already"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "told"), MISTAKEN.values(), ids=list(MISTAKEN))
def test_a_mistake_is_found_without_a_data_file(
    tmp_path: Path, schemas: Path, old: str, new: str, line: int, told: str
) -> None:
    file = schemas / "good.imsc.yml"
    file.write_text(GOOD.replace(old, new, 1))
    checked = Site(tmp_path).run("config", "check", schemas)
    assert checked.returncode == 2
    (complaint,) = [one for one in checked.stderr.splitlines() if one.startswith(f"wrong: {file}:{line}: ")]
    assert told in complaint


def test_good_schemas_are_well_and_one_that_is_never_reached_is_not(tmp_path: Path, schemas: Path) -> None:
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    checked = site.run("config", "check", schemas)
    assert (checked.returncode, checked.stdout) == (0, "all well\n"), checked.stderr
    second = schemas / "second.imsc.yml"
    second.write_text(GOOD.replace("id: good", "id: second").replace("order: 20", "order: 30"))
    for arguments in (["config", "check"], ["config", "check", str(schemas)]):
        checked = site.run(*arguments)
        assert checked.returncode == 2
        assert f"{second}:5: the schema 'second' is never reached: 'good'" in checked.stderr
    assert site.run("config", "check", schemas / "none.imsc.yml").returncode == 2


def test_what_refers_to_itself_is_left_out_and_told(tmp_path: Path, beamtime: Path, schemas: Path) -> None:
    (schemas / "good.imsc.yml").write_text(GOOD.replace(TITLE, MISTAKEN["refers to itself"][1]))
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    ended = site.run("preview", beamtime, "--json")
    assert ended.returncode == 0, ended.stderr
    preview = json.loads(ended.stdout)
    assert "description" not in preview["dataset"]
    assert any("text: left out" in note for note in preview["notes"])


def test_an_exploding_expression_costs_its_variable_or_its_schema_only(
    tmp_path: Path, beamtime: Path, schemas: Path
) -> None:
    nexus(beamtime / "raw" / "run_1.nxs", title="x" * 4000 + "!")
    found = "found: {source: VALUE, operator: regex_find, value: <title>, pattern: '(x+x+)+[yz]', value_type: string}"
    good = GOOD.replace(TITLE, f"{TITLE}\n  {found}").replace("value: <title>, type", "value: <found>, type")
    (schemas / "good.imsc.yml").write_text(good)
    selector = "{source: 'nxs:/entry/title', operator: matches, operand_2: '(x+x+)+[yz]'}"
    early = GOOD.replace("id: good", "id: early").replace("order: 20", "order: 1").replace("'*'", selector)
    (schemas / "early.imsc.yml").write_text(early)
    site = Site(tmp_path, schemas={"directory": str(schemas)})
    ended = site.run("preview", beamtime, "--json")
    assert ended.returncode == 0, ended.stderr
    preview = json.loads(ended.stdout)
    assert preview["schema"]["id"] == "good"
    assert "took longer" in preview["passed_over"]["early"]
    made = {variable["name"]: variable for variable in preview["variables"]}
    assert "took longer" in made["found"]["problem"]
    assert "description" not in preview["dataset"]
    assert site.ingest(beamtime).returncode == 0


class WithoutProposals(SpoilingProxy):
    """A catalogue in front of which something answers questions for proposals with a page for people."""

    def _spoil(self, request: Request) -> Answer:
        if "/proposals" in request.path:
            return Answer(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
        return super()._spoil(request)


@pytest.fixture
def server(tmp_path: Path) -> Site:
    (tmp_path / "server").mkdir()
    return Site(tmp_path / "server", embedded={"port": free_port()})


@pytest.fixture
def asking(schemas: Path) -> Path:
    """Schemas of which one asks for the proposal's title."""
    (schemas / "good.imsc.yml").write_text(GOOD.replace(TITLE, FROM_PROPOSAL))
    return schemas


def client(place: Path, url: str, server: Site, schemas: Path, **more: float) -> Site:
    place.mkdir()
    return Site(
        place, schemas={"directory": str(schemas)} | more,
        catalogue={
            "url": f"{url}/api/v3", "credential_file": str(server.credentials()),
            "patience": {"first_wait": 0.1, "longest_wait": 0.2, "give_up_after": 1.0},
        },
    )  # fmt: skip


def add_proposal(catalogue: Catalogue) -> None:
    proposal = {
        "proposalId": "20990007", "title": "Garnets", "email": "pat@lab.example", "ownerGroup": "staff",
        "accessGroups": [],
    }  # fmt: skip
    answer = requests.post(f"{catalogue.api}/proposals", json=proposal, headers=catalogue.headers, timeout=60)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(("more", "asked"), [({}, 1), ({"keep_lookups": 0}, 3)], ids=["as a rule", "kept for no time"])
def test_an_answer_of_the_catalogue_is_used_for_many_scans(
    tmp_path: Path, beamtime: Path, server: Site, asking: Path, more: dict[str, float], asked: int
) -> None:
    for number in (2, 3):
        nexus(beamtime / "raw" / f"run_{number}.nxs")
        append(beamtime / "raw" / LIST, f"run_{number}")
    with server.catalogue() as catalogue:
        add_proposal(catalogue)
        proxy = SpoilingProxy(catalogue.url)
        site = client(tmp_path / "site", f"http://127.0.0.1:{proxy.port}", server, asking, **more)
        ended = site.ingest(beamtime)
        assert ended.returncode == 0, ended.stderr
        assert [catalogue.dataset(f"{ID}/run_{number}")["description"] for number in (1, 2, 3)] == ["Garnets"] * 3
        assert len([request for request in proxy.requests if "/proposals" in request.path]) == asked
        proxy.close()


def test_a_page_for_people_is_no_proposal(tmp_path: Path, beamtime: Path, server: Site, asking: Path) -> None:
    with server.catalogue() as catalogue:
        proxy = WithoutProposals(catalogue.url)
        site = client(tmp_path / "site", f"http://127.0.0.1:{proxy.port}", server, asking)
        ended = site.ingest(beamtime)
        assert ended.returncode in (1, 3)
        assert "something before SciCat answers" in ended.stderr
        assert catalogue.pids() == []
        assert proxy.writes == 0
        assert not (beamtime / "raw" / INGESTED).exists() or "run_1" not in (beamtime / "raw" / INGESTED).read_text()
        previewed = site.run("preview", beamtime, "--json")
        assert previewed.returncode == 3
        assert "something before SciCat answers" in json.loads(previewed.stdout)["problem"]
        proxy.close()


def test_while_the_catalogue_is_away_what_it_knows_is_not_missing(
    tmp_path: Path, beamtime: Path, server: Site, asking: Path
) -> None:
    port = free_port()
    with server.catalogue(port) as catalogue:
        add_proposal(catalogue)
    site = client(tmp_path / "site", f"http://127.0.0.1:{port}", server, asking)
    with site.daemon(beamtime) as daemon:
        eventually(lambda: "catalogue is unavailable" in site.log.read_text(), "the outage is noticed")
        assert site.status()["totals"]["failed"] == 0
        with server.catalogue(port) as catalogue:
            eventually(catalogue.pids, "the scan, once the catalogue is back")
            assert catalogue.dataset(f"{ID}/run_1")["description"] == "Garnets"
        assert daemon.stop() == 0
