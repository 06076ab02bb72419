"""The client's side of a catalogue: an API over HTTP, and publishing that is safe to repeat.

`scicat.connect` makes the `publisher` that brings a scan's documents into a catalogue; `availability` lets all who
publish wait together while it does not answer. Nothing here reads data files or knows what is done: the service
calls, and notes the outcome.
"""
