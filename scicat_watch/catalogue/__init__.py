"""The client's side of a catalogue: SciCat's API over HTTP, and publishing that may be done twice.

`publish` brings a scan's documents into a catalogue that `connect` makes; `Availability` lets all who
publish wait together while it does not answer. Nothing here reads data files or knows what is done:
the service calls, and notes the outcome.
"""

from scicat_watch.catalogue.availability import Availability
from scicat_watch.catalogue.connect import connect
from scicat_watch.catalogue.protocol import AlreadyThere, Catalogue, Postponed
from scicat_watch.catalogue.publish import Published, publish

__all__ = ["AlreadyThere", "Availability", "Catalogue", "Postponed", "Published", "connect", "publish"]
