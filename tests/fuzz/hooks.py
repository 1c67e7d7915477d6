"""Puts things that exist where the tool has made things up, every other time, so that calls get past the first check.

Read by schemathesis (SCHEMATHESIS_HOOKS). Choices depend on what was generated alone: a finding can be repeated.
"""

import json
import os
import pathlib
import re
import zlib

import schemathesis

FACTS = json.loads((pathlib.Path(os.environ["TOMATO_FUZZ"]) / "facts.json").read_text())
IDS = FACTS["ids"]


def lot(value) -> int:
    """A number that looks random and is always the same for the same value."""
    return zlib.crc32(repr(value).encode("utf-8", "replace"))


def known(kind, number):
    return IDS[kind][number % len(IDS[kind])]


def is_id(kind, value):
    return isinstance(value, str) and re.fullmatch(kind + "_[0-7][0-9a-hjkmnp-tv-z]{25}", value) is not None


def is_place(value):
    """Bad input stays bad: what is wrong on purpose must not be put right."""
    number = lambda name, most: type(value[name]) in (int, float) and abs(value[name]) <= most
    return isinstance(value, dict) and set(value) == {"lat", "lng"} and number("lat", 90) and number("lng", 180)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not path_parameters:
        return path_parameters
    number = lot(path_parameters)
    if number % 4 == 0:
        return path_parameters
    real = lambda name, value: known(name, number >> 4) if name in IDS and is_id(name, value) else value
    return {name: real(name, value) for name, value in path_parameters.items()}


@schemathesis.hook
def map_query(context, query):
    if not isinstance(query, dict) or lot(query) % 2:
        return query
    place = {name: query[name] for name in ("lat", "lng") if name in query}
    return {**query, **FACTS["place"]} if is_place(place) else query


@schemathesis.hook
def map_body(context, body):
    number = lot(body)
    if not isinstance(body, dict):
        return body
    body = dict(body)
    # A paused region answers 503 to every order from then on, as it should; nothing else would be learned.
    for switch in ("paused", "suspended"):
        if body.get(switch) is True:
            body[switch] = False
    if number % 4 == 0:
        return body
    if is_id("rst", body.get("restaurant_id")):
        body["restaurant_id"] = IDS["rst"][0]
    if isinstance(body.get("items"), list) and number % 8 > 1:
        body["items"] = [item_of_menu(item) for item in body["items"]]
    to = body.get("deliver_to")
    if isinstance(to, dict) and is_place(to.get("place")):
        body["deliver_to"] = {**to, "place": FACTS["place"]}
    if is_place(body.get("place")):
        body["place"] = FACTS["place"]
    return body


def item_of_menu(item):
    if isinstance(item, dict) and is_id("itm", item.get("item_id")):
        return {**item, "item_id": FACTS["item"]}
    return item
