#!/usr/bin/env python3
"""Checks crds/*.yaml without a cluster.

A kube-apiserver refuses a CustomResourceDefinition whose schema is not structural, but it says so only at
install time, and our own YAML parser takes a strict subset of YAML 1.2 that kubectl does not insist on. This script
holds the files to both, and to what only we want: a description on each field, one wording of each shared part.

    hack/check-crds.py [directory]

Needs python3 and PyYAML. Exit status 1 if anything is wrong; each finding is printed with its place.
"""
import glob
import os
import re
import sys

import yaml

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
FORMATS = {"string": {"date-time"}, "integer": {"int32", "int64"}, "number": {"double"}}
# Keywords that the schemas may use, by type. All others are unknown to pkg/apiserver or forbidden in a
# structural schema ($ref, uniqueItems, additionalProperties: false, CEL, ...).
COMMON = {"description", "type", "nullable", "default", "format"}
KEYWORDS = {
    "string": {"enum", "pattern", "minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set(),
    "object": {"properties", "required", "additionalProperties", "x-kubernetes-map-type"},
    "array": {"items", "minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"},
}
# Objects with members of any name. Only our own kinds may have some.
FREE = {("HostRecord", "spec.plan.steps[].args")}
BASE = "clusterctl.cluster.x-k8s.io"
MOVE, HIERARCHY = BASE + "/move", BASE + "/move-hierarchy"
# What upstream and clusterctl rely on: the status subresource, short names, labels, number of printer columns.
KINDS = {
    "BareMetalHost": ("metal3.io", True, ["bmh", "bmhost"], {BASE, MOVE, HIERARCHY}, 7),
    "HostFirmwareSettings": ("metal3.io", True, ["hfs"], {BASE}, 0),
    "HostFirmwareComponents": ("metal3.io", True, [], {BASE}, 0),
    "FirmwareSchema": ("metal3.io", False, [], set(), 0),
    "HostUpdatePolicy": ("metal3.io", False, [], {BASE}, 0),
    "HardwareData": ("metal3.io", False, ["hd"], {BASE, MOVE}, 1),
    "PreprovisioningImage": ("metal3.io", True, ["ppimg"], set(), 2),
    "DataImage": ("metal3.io", True, [], {BASE}, 0),
    "BMCEventSubscription": ("metal3.io", True, ["bes", "bmcevent"], set(), 2),
    "HostClaim": ("metal3.io", True, [], set(), 0),
    "HostDeployPolicy": ("metal3.io", True, [], set(), 0),
    "BareMetalSwitch": ("metal3.io", True, ["bms"], set(), 4),
    "HostNetworkAttachment": ("metal3.io", True, [], set(), 3),
    "HostRecord": ("ingot.dev", False, ["hr"], {BASE, MOVE}, 6),
}
# Fields that are the same part wherever they stand: all must have the same schema, top description apart.
SHARED = {
    "conditions": "Condition", "hardware": "HardwareDetails", "raid": "RAIDConfig", "rootDeviceHints": "RootDeviceHints",
    "customDeploy": "CustomDeploy", "consumerRef": "ObjectReference", "bootMode": "BootMode",
    "lastAttemptedImage": "Image", "goodCredentials": "CredentialsStatus", "triedCredentials": "CredentialsStatus",
    "userData": "SecretReference", "metaData": "SecretReference", "networkData": "SecretReference",
    "httpHeadersRef": "SecretReference", "credentials": "SecretReference", "image": "Image",
}
# ... but for these, which have a shared name and are something else.
NOT_SHARED = {("PreprovisioningImage", "status.networkData"), ("HostRecord", "spec.image")}

problems = []
shared = {}
counts = {"fields": 0, "patterns": 0}


def bad(where, text):
    problems.append(f"{where}: {text}")


# ---- YAML as our parser takes it

def check_subset(path):
    """Block style, no anchors, aliases, tags or second documents, no scalar that YAML 1.1 and 1.2 read differently."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if "\t" in text or "\r" in text or not text.endswith("\n"):
        bad(path, "tabs, carriage returns or no newline at the end")
    depth = documents = 0
    for e in yaml.parse(text):
        where = f"{path}:{e.start_mark.line + 1}"
        documents += isinstance(e, yaml.DocumentStartEvent)
        if isinstance(e, yaml.AliasEvent) or getattr(e, "anchor", None):
            bad(where, "anchor or alias")
        if getattr(e, "tag", None):
            bad(where, "tag")
        if isinstance(e, yaml.CollectionStartEvent) and e.flow_style:
            depth += 1
        elif isinstance(e, yaml.CollectionEndEvent) and depth:
            depth -= 1
        elif depth:
            bad(where, "flow style that is not an empty {} or []")
        if isinstance(e, yaml.ScalarEvent) and e.style is None:
            check_plain(where, e.value)
        if isinstance(e, yaml.ScalarEvent) and e.style in ("|", ">"):
            bad(where, "block scalar")
    if documents != 1:
        bad(path, f"{documents} documents")


def check_plain(where, value):
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, value, (True, False))
    if tag.endswith(":str"):
        return
    if value not in ("true", "false") and not re.fullmatch(r"0|-?[1-9][0-9]*", value):
        bad(where, f"ambiguous plain scalar {value!r}: quote it")


class Loader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys."""


def mapping(loader, node):
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            bad(f"{loader.name}:{key.start_mark.line + 1}", f"duplicate key {key.value!r}")
        seen.add(key.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:map", mapping)


# ---- structural schema

def check_schema(kind, path, s, field=True):
    where = f"{kind} {path or '(root)'}"
    if s.get("x-kubernetes-int-or-string") is True:
        if set(s) - {"x-kubernetes-int-or-string", "description", "nullable"}:
            bad(where, "int-or-string with other keywords")
        return
    t = s.get("type")
    if t not in TYPES:
        bad(where, f"type is {t!r}")
        return
    free = {"x-kubernetes-preserve-unknown-fields"} if (kind, path) in FREE else set()
    for k in sorted(set(s) - COMMON - KEYWORDS[t] - free):
        bad(where, f"keyword {k} is not for type {t}, or not allowed at all")
    if "nullable" in s and s["nullable"] is not True:
        bad(where, "nullable must be true or absent")
    if "format" in s and s["format"] not in FORMATS.get(t, set()):
        bad(where, f"format {s['format']!r} does not fit type {t}")
    if field:
        check_description(where, s.get("description"))
    check_values(where, t, s)
    {"object": check_object, "array": check_array}.get(t, lambda *a: None)(kind, path, where, s)


def check_description(where, d):
    counts["fields"] += 1
    if not isinstance(d, str) or not re.fullmatch(r"[A-Z][^\n]*[A-Za-z0-9)]\.", d):
        bad(where, "no description in the form of a sentence")
    elif re.search(r"[.!?] [A-Z]", d):
        bad(where, "description of more than one sentence")


def fits(t, v):
    return isinstance(v, TYPES[t]) and not (isinstance(v, bool) and t != "boolean")


def check_values(where, t, s):
    for v in s.get("enum", []):
        if not fits(t, v):
            bad(where, f"enum value {v!r} is not of type {t}")
    if "enum" in s and (not s["enum"] or len(set(s["enum"])) != len(s["enum"])):
        bad(where, "empty enum, or a value twice")
    if "default" in s:
        if not fits(t, s["default"]):
            bad(where, f"default {s['default']!r} is not of type {t}")
        elif "enum" in s and s["default"] not in s["enum"]:
            bad(where, f"default {s['default']!r} is not in the enum")
        if s.get("nullable"):
            bad(where, "default and nullable together: null would be replaced silently")
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        limits = [s[k] for k in (low, high) if k in s]
        if not all(fits("integer", v) for v in limits) or limits != sorted(limits):
            bad(where, f"{low}/{high} are not integers in order")
    if t == "integer" and "default" in s and s["default"] != max(
            s.get("minimum", s["default"]), min(s["default"], s.get("maximum", s["default"]))):
        bad(where, "default out of range")
    check_pattern(where, s.get("pattern"))


def check_pattern(where, p):
    if p is None:
        return
    counts["patterns"] += 1
    try:
        re.compile(p)
    except (re.error, TypeError) as e:
        bad(where, f"pattern does not compile: {e}")
        return
    if "(?" in p or re.search(r"\\[1-9]", p):
        bad(where, "pattern is beyond what RE2 and our matcher share")


def check_object(kind, path, where, s):
    props, extra = s.get("properties"), s.get("additionalProperties")
    if props is not None and extra is not None:
        bad(where, "both properties and additionalProperties")
    if extra is not None:
        if isinstance(extra, dict):
            check_schema(kind, path + ".*", extra, field=False)
        else:
            bad(where, "additionalProperties is not a schema")
    required = s.get("required", [])
    if "required" in s and (not required or len(set(required)) != len(required)):
        bad(where, "empty required list, or a name twice")
    for r in required:
        if r not in (props or {}):
            bad(where, f"required field {r} is not in properties")
    if s.get("x-kubernetes-map-type", "atomic") != "atomic":
        bad(where, "x-kubernetes-map-type other than atomic")
    for name, sub in (props or {}).items():
        if not path and name == "metadata":
            # An apiserver refuses anything else here, even a description.
            if sub != {"type": "object"}:
                bad(where, "metadata must be {type: object} and nothing else")
            continue
        check_schema(kind, f"{path}.{name}".lstrip("."), sub)
        check_shared(kind, f"{path}.{name}".lstrip("."), name, sub)


def check_array(kind, path, where, s):
    items = s.get("items")
    if not isinstance(items, dict):
        bad(where, "array without items")
        return
    check_schema(kind, path + "[]", items, field=False)
    list_type, keys = s.get("x-kubernetes-list-type"), s.get("x-kubernetes-list-map-keys")
    if list_type not in (None, "atomic", "set", "map"):
        bad(where, f"x-kubernetes-list-type {list_type!r}")
    if (list_type == "map") != bool(keys):
        bad(where, "x-kubernetes-list-map-keys belong to list type map, and only there")
    if list_type == "map" and items.get("type") != "object":
        bad(where, "list type map of things that are no objects")
    for k in keys or []:
        key = items.get("properties", {}).get(k)
        if key is None or key.get("type") in ("object", "array"):
            bad(where, f"map key {k} is no scalar field of the items")
        elif k not in items.get("required", []) and "default" not in key:
            bad(where, f"map key {k} is neither required nor defaulted")
    if list_type == "set" and items.get("type") in ("object", "array"):
        bad(where, "list type set of things that are no scalars")


def check_shared(kind, path, name, s):
    if name not in SHARED or (kind, path) in NOT_SHARED:
        return
    part = s["items"] if name == "conditions" else {k: v for k, v in s.items() if k != "description"}
    first = shared.setdefault(SHARED[name], (f"{kind} {path}", part))
    if first[1] != part:
        bad(f"{kind} {path}", f"{SHARED[name]} differs from {first[0]}")


# ---- the definition around it

def check_definition(path, d):
    kind = d.get("spec", {}).get("names", {}).get("kind")
    if d.get("apiVersion") != "apiextensions.k8s.io/v1" or d.get("kind") != "CustomResourceDefinition" or kind not in KINDS:
        bad(path, f"not a CustomResourceDefinition of a kind that we know: {kind!r}")
        return
    group, subresource, short, labels, columns = KINDS[kind]
    spec, names = d["spec"], d["spec"]["names"]
    plural = names.get("plural")
    lower = kind.lower()
    want = {
        "file name": (os.path.basename(path), f"{group}_{plural}.yaml"),
        "metadata.name": (d["metadata"].get("name"), f"{plural}.{group}"),
        "metadata": (set(d["metadata"]) - {"labels"}, {"name"}),
        "labels": (d["metadata"].get("labels", {}), {label: "" for label in labels}),
        "group": (spec.get("group"), group),
        "scope": (spec.get("scope"), "Namespaced"),
        "plural": (plural, plural_of(lower)),
        "singular": (names.get("singular"), lower),
        "listKind": (names.get("listKind"), kind + "List"),
        "shortNames": (names.get("shortNames", []), short),
        "fields of spec": (set(spec), {"group", "names", "scope", "versions"}),
        "versions": ([v.get("name") for v in spec["versions"]], ["v1alpha1"]),
    }
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    want["served, storage"] = ((version.get("served"), version.get("storage")), (True, True))
    want["subresources"] = (version.get("subresources"), {"status": {}} if subresource else None)
    want["printer columns"] = (len(version.get("additionalPrinterColumns", [])), columns)
    want["root type"] = (schema.get("type"), "object")
    want["root required"] = (schema.get("required"), None)
    for what, (got, expected) in want.items():
        if got != expected:
            bad(path, f"{what}: {got!r}, expected {expected!r}")
    check_schema(kind, "", schema)
    for c in version.get("additionalPrinterColumns", []):
        check_column(path, schema, c)


def plural_of(lower):
    if lower.endswith(("settings", "components", "data")):
        return lower
    if lower.endswith("y"):
        return lower[:-1] + "ies"
    return lower + ("es" if lower.endswith("ch") else "s")


def check_column(path, schema, column):
    """The JSON path of a printer column leads to a scalar field."""
    if set(column) - {"name", "type", "jsonPath", "description", "priority"}:
        bad(path, f"column {column.get('name')}: unknown fields")
    if column["type"] not in ("string", "integer", "date"):
        bad(path, f"column {column['name']}: type {column['type']!r}")
    if column["jsonPath"] == ".metadata.creationTimestamp":
        return
    s = schema
    for step in re.findall(r"\.([A-Za-z]+)(?:\[\?\([^)]*\)\])?", re.sub(r"@\.", "@", column["jsonPath"])):
        s = s.get("properties", {}).get(step)
        if s is None:
            bad(path, f"column {column['name']}: no field {step}")
            return
        s = s.get("items", s)
    if s["type"] in ("object", "array"):
        bad(path, f"column {column['name']}: leads to an {s['type']}")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    directory = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "crds")
    kinds = []
    files = sorted(glob.glob(os.path.join(directory, "*")))
    for path in files:
        try:
            check_subset(path)
            with open(path, encoding="utf-8") as f:
                d = yaml.load(f, Loader)
            check_definition(path, d)
            kinds.append(d["spec"]["names"]["kind"])
        except (yaml.YAMLError, KeyError, TypeError, AttributeError) as e:
            bad(path, f"cannot be read as a CustomResourceDefinition: {type(e).__name__} {e}")
    if sorted(kinds) != sorted(KINDS):
        bad(directory, f"kinds missing or twice: {sorted(set(KINDS) ^ set(kinds))}")
    for p in problems:
        print(p, file=sys.stderr)
    print(f"check-crds: {len(files)} files, {counts['fields']} fields, {counts['patterns']} patterns, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
