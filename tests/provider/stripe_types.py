"""Holds what a node sends to Stripe against the types of Stripe's Python library, which is generated from Stripe's OpenAPI
description. Arguments: the folder of the library; JSON of [{call, field, value}]; the API version that the node names."""

import ast
import json
import re
import sys
from pathlib import Path

CALLS = {
    "POST v1/payment_intents": "payment_intent_create",
    "GET v1/payment_intents": "payment_intent_list",
    "GET v1/payment_intents/*": "payment_intent_retrieve",
    "POST v1/payment_intents/*/capture": "payment_intent_capture",
    "POST v1/payment_intents/*/cancel": "payment_intent_cancel",
    "POST v1/refunds": "refund_create",
    "GET v1/refunds": "refund_list",
    "GET v1/disputes": "dispute_list",
    "GET v1/disputes/*": "dispute_retrieve",
    "GET v1/balance": "balance_retrieve",
}


def classes(library, call):
    """Every class of a call's parameters: name to {field: type as an expression}."""
    text = (library / "stripe/params" / f"_{CALLS[call]}_params.py").read_text()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            rows = [row for row in node.body if isinstance(row, ast.AnnAssign)]
            found[node.name] = {row.target.id: plain(row.annotation) for row in rows}
    return found


def plain(kind):
    """A type without NotRequired, and without the quotes of one that is named before it is known."""
    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        return plain(ast.parse(kind.value, mode="eval").body)
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) in ("NotRequired", "Required"):
        return plain(kind.slice)
    return kind


def fits(known, kind, rest, value):
    """Whether a value fits a type; `rest` are the names in brackets that are left."""
    kind = plain(kind)
    if isinstance(kind, ast.BinOp):
        return fits(known, kind.left, rest, value) or fits(known, kind.right, rest, value)
    if isinstance(kind, ast.Subscript):
        name, inside = ast.unparse(kind.value), kind.slice
        if name in ("Union", "Optional"):
            sides = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return any(fits(known, side, rest, value) for side in sides)
        if name == "Literal":
            words = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return not rest and value in [str(word.value) for word in words]
        if name in ("List", "list"):
            return bool(rest) and rest[0].isdigit() and fits(known, inside, rest[1:], value)
        if name in ("Dict", "dict"):
            return len(rest) == 1 and fits(known, inside.elts[1], [], value)
        return False
    name = ast.unparse(kind)
    if name in known:
        return bool(rest) and rest[0] in known[name] and fits(known, known[name][rest[0]], rest[1:], value)
    if rest:
        return False
    return {
        "int": re.fullmatch(r"-?\d+", value) is not None,
        "bool": value in ("true", "false"),
        "str": True,
    }.get(name, False)


def main():
    library, sent, version = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), sys.argv[3]
    faults = []
    if f'CURRENT = "{version}"' not in (library / "stripe/_api_version.py").read_text():
        faults.append(f"the library is not for API version {version}")
    for row in sent:
        call, field, value = row["call"], row["field"], row["value"]
        known = classes(library, call)
        names = [part for part in re.split(r"[\[\]]+", field) if part]
        top = next(iter(known.values()))
        if names[0] not in top or not fits(known, top[names[0]], names[1:], value):
            faults.append(f"{call}: {field}={value} is not in Stripe's types")
    print(f"{len(sent)} fields of {len({row['call'] for row in sent})} calls, {len(faults)} faults")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
