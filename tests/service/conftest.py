"""Sites whose far ends are fakes, and beamtimes whose files come at planned times."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.settings.model import Settings
from tests import makers
from tests.catalogue.conftest import Site as Catalogue
from tests.fakes import FakeClock
from tests.service.fakes import FakeSite

_times = itertools.count(1_600_000_000)


class Disk:
    """Files of a beamtime directory. Each change gives its directory another time, however fast the test is."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def nexus(self, name: str) -> Path:
        """A NeXus file, e.g. "raw/scan_1.nxs"."""
        return self.changed(makers.nexus(self.root / name))

    def text(self, name: str, text: str = "text") -> Path:
        """Any other file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self.changed(path)

    def append(self, name: str, *lines: str) -> Path:
        """Lines of a dataset list."""
        return self.changed(makers.append(self.root / name, *lines))

    def changed(self, path: Path) -> Path:
        """The path, whose directory looks changed now."""
        moment = next(_times)
        os.utime(path.parent, (moment, moment))
        return path


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A beamtime directory with a metadata file and an empty `raw`."""
    return Disk(makers.beamtime_directory(tmp_path / "bt"))


def settings(tmp_path: Path, **sections: Any) -> Settings:
    """Settings of a site that needs no server; further sections as in a configuration file."""
    secret = tmp_path / "secret"
    secret.write_text("password")
    catalogue = {"url": "http://127.0.0.1:9/api/v3", "credential_file": secret} | sections.pop("catalogue", {})
    return Settings.model_validate({"var_dir": tmp_path / "var", "catalogue": catalogue} | sections)


@pytest.fixture
def sites(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., FakeSite]]:
    """Makes sites, with sections of a configuration; they are closed when the test ends."""
    made: list[FakeSite] = []

    def make(**sections: Any) -> FakeSite:
        made.append(FakeSite(settings(tmp_path, **sections), clock))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """The embedded catalogue, on loopback."""
    made = Catalogue(tmp_path_factory.mktemp("catalogue"))
    # What the server opens at its first request stays until its end.
    made.api().dataset("nobody/1")
    made.hang_up()
    yield made
    made.close()


def at(catalogue: Catalogue, tmp_path: Path) -> dict[str, Any]:
    """The `catalogue` section for that one, as an account that may do everything."""
    admin = tmp_path / "admin"
    admin.write_text(json.dumps({"username": "admin", "password": "a"}))
    return {"url": catalogue.base, "credential_file": admin}


@pytest.fixture
def site(sites: Callable[..., FakeSite]) -> FakeSite:
    return sites()
