"""The sections about catalogues: the SciCat that datasets are posted to, and the embedded one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from scicat_watch.catalogue.options import OWNED, CatalogueOptions, HttpOptions, LoginOptions, PatienceLimits
from scicat_watch.embedded.options import Public, ServeOptions
from scicat_watch.settings.section import Section, UserPath

_HTTP, _LOGIN, _PATIENCE, _SERVE = HttpOptions(""), LoginOptions(), PatienceLimits(), ServeOptions(Path(), Path())


class PatienceSection(Section):
    """How requests are repeated while the catalogue is unavailable."""

    first_wait: float = Field(default=_PATIENCE.first_wait, gt=0)
    """Seconds before the second attempt; the wait doubles after each further one."""
    longest_wait: float = Field(default=_PATIENCE.longest_wait, gt=0)
    """Maximum wait between two attempts, in seconds."""
    give_up_after: float = Field(default=_PATIENCE.give_up_after, ge=0)
    """Seconds after which commands such as `ingest` give up (exit status 3). The daemon never gives up."""

    def limits(self) -> PatienceLimits:
        """The parameters of `catalogue.availability`."""
        return PatienceLimits(self.first_wait, self.longest_wait, self.give_up_after)


class CatalogueSection(Section):
    """The `catalogue:` section: which SciCat, and the account to use there."""

    url: str | None = None
    """Base address of SciCat's API, e.g. "https://scicat.example.org/api/v3". null: the embedded catalogue."""
    api: Literal["auto", "v3", "v4"] = "auto"
    """Version of SciCat's API. `auto`: v4 if the address ends in /api/v4, otherwise v3 unless the server has only v4.
    By both the datasets are the same; v4 leaves thumbnails to admins, so that others use v3 for them all the same."""
    username: str = _LOGIN.username
    """Account to log in with, unless the credential file names one."""
    credential_file: UserPath | None = None
    """File with the account's secret: a JSON object with `username` and `password`, or with `jwt` for a ready token;
    any other text is the password. Read again when it changes."""
    login_path: str = _LOGIN.login_path
    """Login path below the base address; "auth/ldap" for accounts of a directory server."""
    pid_prefix: str = ""
    """Prefix of every dataset id, e.g. "20.500.12345/"."""
    timeout: float = Field(default=_HTTP.timeout, gt=0)
    """Timeout of a connection attempt and of each answer, in seconds."""
    ca_file: UserPath | None = None
    """File with the CA certificates that the site trusts; null: those of the system."""
    verify: bool = _HTTP.verify
    """Whether the server's certificate is checked. If not, anybody on the network path can read the token."""
    patience: PatienceSection = PatienceSection()
    """How requests are repeated while the catalogue is unavailable."""
    update: Literal["ours", "three-way", "never"] = "three-way"
    """What becomes of a dataset that is in the catalogue and differs from the files: `three-way` updates what is stored
    as scicat-watch last wrote it, and leaves what somebody else has changed; `ours` writes all fields as the files say;
    `never` leaves fields, file list and thumbnail that are there, and only adds what is missing."""
    owned_fields: tuple[str, ...] = OWNED
    """Fields that `three-way` updates also where it is not known what scicat-watch last wrote, as after the journal was
    lost. Members of the scientific metadata have dots, as `scientificMetadata.sample`."""
    connections: int = Field(default=4, ge=1, le=64)
    """How many scans are published in parallel, one of each scan directory."""

    def options(self, url: str) -> CatalogueOptions:
        """The parameters of `catalogue`, with the catalogue at `url`."""
        return CatalogueOptions(
            http=HttpOptions(url, self.timeout, self.ca_file, self.verify),
            login=self.login(),
            patience=self.patience.limits(),
            pid_prefix=self.pid_prefix,
            api=self.api,
        )

    def login(self) -> LoginOptions:
        """The account to log in with."""
        return LoginOptions(self.username, self.credential_file, self.login_path)


class EmbeddedSection(Section):
    """The `embedded:` section: the catalogue that is part of scicat-watch."""

    host: str = _SERVE.host
    """Address to serve on."""
    port: int = Field(default=_SERVE.port, ge=0, le=65535)
    """Port to serve on; 0 selects a free port. If it is not set and another program has 8085, a free one is taken."""
    public: Public | None = None
    """What everybody may read without an account, on the pages and by the API: all `datasets`, only `published` ones,
    or `nothing`. null: published ones; served on a loopback address the pages show all of them."""
    database: UserPath | None = None
    """The SQLite file; null: `catalogue.sqlite` in `var_dir`."""
    pid_prefix: str = _SERVE.pid_prefix
    """Prefix of the ids that the catalogue generates for datasets without one."""
    accounts: UserPath | None = None
    """JSON file with the accounts; null: `catalogue-accounts.json` in `var_dir`, created with a random password."""
