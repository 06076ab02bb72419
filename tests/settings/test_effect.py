"""Each setting takes effect at a reload or at the next start, and it is known which."""

from __future__ import annotations

from pathlib import Path

from scicat_watch.settings.effect import AT_RELOAD, AT_START, names, take
from scicat_watch.settings.model import Settings


def test_of_each_setting_it_is_known_when_it_takes_effect() -> None:
    """A new setting goes into one of the two, in `settings.effect`; whoever reads it once goes into `AT_START`."""
    assert set(names()) == AT_RELOAD | AT_START
    assert set() == AT_RELOAD & AT_START


def _settings(**sections: object) -> Settings:
    return Settings.model_validate({"var_dir": "/var/x", **sections})


def test_what_takes_effect_now_is_taken_and_the_rest_stays() -> None:
    running = _settings(reading={"workers": 2}, catalogue={"patience": {"first_wait": 1}})
    read = _settings(
        var_dir="/var/y",
        watching={"trigger": "lists"},
        reading={"workers": 7, "thumbnails": False},
        catalogue={"url": "https://other.example/api/v3", "patience": {"first_wait": 9}},
    )
    taken = take(running, read)
    assert taken.changed == ("watching.trigger", "reading.thumbnails")
    assert taken.later == ("reading.workers", "catalogue.url", "catalogue.patience.first_wait", "var_dir")
    assert taken.settings == _settings(
        watching={"trigger": "lists"}, reading={"workers": 2, "thumbnails": False},
        catalogue={"patience": {"first_wait": 1}},
    )  # fmt: skip
    assert taken.watches_differently


def test_the_same_configuration_changes_nothing() -> None:
    taken = take(_settings(), _settings())
    assert (taken.settings, taken.changed, taken.later, taken.watches_differently) == (_settings(), (), (), False)


def test_beamtimes_are_not_searched_anew_for_what_they_do_not_depend_on() -> None:
    read = _settings(schemas={"directory": Path("/schemas")}, logging={"level": "debug"})
    assert not take(_settings(), read).watches_differently
