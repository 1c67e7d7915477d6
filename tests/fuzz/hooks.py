"""Puts things that exist where the tool has made things up, every other time, so that calls get past the first check.

Read by schemathesis (SCHEMATHESIS_HOOKS). Choices depend on what was generated alone: a finding can be repeated.
"""

import json
import os
import pathlib
import zlib

import schemathesis

FACTS = json.loads((pathlib.Path(os.environ["TOMATO_FUZZ"]) / "facts.json").read_text())
IDS = FACTS["ids"]


def lot(value) -> int:
    """A number that looks random and is always the same for the same value."""
    return zlib.crc32(repr(value).encode("utf-8", "replace"))


def known(kind, number):
    return IDS[kind][number % len(IDS[kind])]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not path_parameters:
        return path_parameters
    number = lot(path_parameters)
    if number % 4 == 0:
        return path_parameters
    return {name: known(name, number >> 4) if name in IDS else value for name, value in path_parameters.items()}


@schemathesis.hook
def map_query(context, query):
    if isinstance(query, dict) and "lat" in query and lot(query) % 2:
        return {**query, **FACTS["place"]}
    return query


@schemathesis.hook
def map_body(context, body):
    number = lot(body)
    if not isinstance(body, dict) or number % 4 == 0:
        return body
    body = dict(body)
    if isinstance(body.get("restaurant_id"), str):
        body["restaurant_id"] = IDS["rst"][0]
    if isinstance(body.get("items"), list) and number % 8 > 1:
        body["items"] = [{**item, "item_id": FACTS["item"]} if isinstance(item, dict) else item for item in body["items"]]
    if isinstance(body.get("deliver_to"), dict):
        body["deliver_to"] = {**body["deliver_to"], "place": FACTS["place"]}
    if isinstance(body.get("place"), dict):
        body["place"] = FACTS["place"]
    return body
