"""Cases of the API suite: read from suite/*.yaml, run against one API server. suite/README.md is the specification of
their form. A case runs on one thread, with a connection that no other uses meanwhile; nothing here knows which server it is."""
import base64
import collections
import glob
import http.client
import json
import os
import re
import secrets
import ssl
import tempfile
import time
import urllib.parse

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "suite")
LIMIT_S = 60  # keeps a server that says nothing from hanging the test; nothing is asserted about time
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WATCH")
TYPES = {"json": "application/json", "yaml": "application/yaml", "json-patch": "application/json-patch+json",
         "merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json",
         "apply": "application/apply-patch+yaml"}


def kind(group_version, plural, name, namespaced=True):
    prefix = ("/apis/" if "/" in group_version else "/api/") + group_version
    return plural, (prefix + ("/namespaces/${ns}/" if namespaced else "/") + plural, group_version, name)


KINDS = dict((
    kind("v1", "configmaps", "ConfigMap"),
    kind("v1", "secrets", "Secret"),
    kind("v1", "events", "Event"),
    kind("v1", "namespaces", "Namespace", namespaced=False),
    kind("coordination.k8s.io/v1", "leases", "Lease"),
    kind("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False),
    kind("metal3.io/v1alpha1", "baremetalhosts", "BareMetalHost"),
    kind("suite.ingot.dev/v1", "widgets", "Widget"),
    kind("suite.ingot.dev/v1", "gadgets", "Gadget", namespaced=False),
    kind("suite.ingot.dev/v1", "blobs", "Blob"),
    kind("suite.ingot.dev/v1", "things", "Thing"),
))


class Failure(Exception):
    """What was expected and what came, for a person."""


# --- patterns ---

Pattern = collections.namedtuple("Pattern", "how value")
ABSENT = object()


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML with the tags of patterns."""


def construct(how):
    def build(loader, node):
        if isinstance(node, yaml.SequenceNode):
            return Pattern(how, loader.construct_sequence(node, deep=True))
        if isinstance(node, yaml.MappingNode):
            return Pattern(how, loader.construct_mapping(node, deep=True))
        return Pattern(how, yaml.safe_load(node.value) if how in ("count", "not") and not node.style else node.value)
    return build


for tag in ("absent", "any", "empty", "re", "has", "not", "contains", "count"):
    Loader.add_constructor("!" + tag, construct(tag))


def show(value):
    if value is ABSENT:
        return "nothing"
    if isinstance(value, Pattern):
        return f"!{value.how} {value.value}"
    text = json.dumps(value, default=str)
    return text if len(text) < 600 else text[:600] + "..."


def matches_tag(pattern, got):
    """For each tag: does it match what is there?"""
    value = pattern.value
    return {
        "any": lambda: True,
        "absent": lambda: False,
        "empty": lambda: got in (None, "", [], {}),
        "re": lambda: isinstance(got, str) and re.fullmatch(value, got, re.S) is not None,
        "has": lambda: isinstance(got, str) and value in got,
        "not": lambda: difference(value, got) is not None,
        "contains": lambda: isinstance(got, list) and all(any(difference(p, g) is None for g in got) for p in value),
        "count": lambda: isinstance(got, (list, dict)) and len(got) == value,
    }[pattern.how]()


def difference(pattern, got, path=""):
    """None when got matches; else what does not."""
    where = path or "the body"
    if isinstance(pattern, Pattern):
        fits = pattern.how in ("absent", "empty") if got is ABSENT else matches_tag(pattern, got)
        return None if fits else f"{where}: {show(pattern)} was expected, there is {show(got)}"
    if isinstance(pattern, dict) and isinstance(got, dict):
        for key, value in pattern.items():
            wrong = difference(value, got.get(key, ABSENT), f"{path}.{key}" if path else key)
            if wrong:
                return wrong
        return None
    if isinstance(pattern, list) and isinstance(got, list) and len(pattern) == len(got):
        for i, value in enumerate(pattern):
            wrong = difference(value, got[i], f"{path}[{i}]")
            if wrong:
                return wrong
        return None
    same = type(pattern) is type(got) and pattern == got and not isinstance(pattern, list)
    return None if same else f"{where}: {show(pattern)} was expected, there is {show(got)}"


# --- variables ---

VARIABLE = re.compile(r"\$\{(\w+)\}")


def filled(value, known, quote=str):
    """value with the variables in it replaced."""
    if isinstance(value, Pattern):
        return Pattern(value.how, filled(value.value, known, re.escape if value.how == "re" else str))
    if isinstance(value, dict):
        return {filled(k, known): filled(v, known) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, known) for v in value]
    if not isinstance(value, str):
        return value
    whole = VARIABLE.fullmatch(value)
    if whole and quote is str:
        return known[whole[1]]
    return VARIABLE.sub(lambda m: quote(str(known[m[1]])), value)


def part(value, path):
    """`items[0].metadata.name` of value; `.` is all of it."""
    for word in re.findall(r"[^.\[\]]+", path):
        value = value[int(word)] if isinstance(value, list) else value[word]
    return value


def merged(base, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


# --- a server ---


class Client:
    """Connections to the API server that a kubeconfig names."""

    def __init__(self, kubeconfig):
        with open(kubeconfig, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        where = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port = where.hostname, where.port or 443
        self.token = user.get("token")
        self.idle = []  # connections of cases that have ended well
        self.tls = ssl.create_default_context(cadata=self._data(cluster, "certificate-authority").decode())
        if "client-key-data" in user or "client-key" in user:
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(self._data(user, "client-certificate") + b"\n" + self._data(user, "client-key"))
                pair.flush()
                self.tls.load_cert_chain(pair.name)

    @staticmethod
    def _data(entry, key):
        if key + "-data" in entry:
            return base64.b64decode(entry[key + "-data"])
        with open(entry[key], "rb") as file:
            return file.read()

    def connect(self):
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=LIMIT_S)

    def borrow(self):
        return self.idle.pop() if self.idle else self.connect()

    def send(self, connection, method, path, body=None, headers=()):
        headers = dict(headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request(method, path, body, headers)
        return connection.getresponse()


def chunks(body, size):
    """As a client sends what it reads from a pipe (RFC 9112, 7.1)."""
    parts = [body[at:at + size] for at in range(0, len(body), size)] + [b""]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


class Answer:
    """All of an answer that is not a stream."""

    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode(errors="replace")
        try:
            self.json = json.loads(self.text)
        except ValueError:
            self.json = ABSENT


# --- running a case ---


class Run:
    """One case on one server."""

    def __init__(self, client, case):
        self.client, self.case = client, case
        self.connection = client.borrow()
        self.known = {"ns": "t-" + secrets.token_hex(4), "mebibyte": "x" * 2**20}
        self.where = ""

    def __call__(self):
        well = False
        try:
            self.step({"POST": "namespaces", "body": {"metadata": {"name": "${ns}"}}}, "namespace")
            self.steps(self.case["steps"], "step ")
            well = True
        except (OSError, http.client.HTTPException, KeyError, IndexError, TypeError) as bad:
            raise Failure(f"{self.where}: {type(bad).__name__}: {bad}") from bad
        finally:
            if well:
                self.client.idle.append(self.connection)
            else:
                self.connection.close()

    def steps(self, steps, prefix):
        for i, step in enumerate(steps, 1):
            self.step(step, f"{prefix}{i}")

    def step(self, step, name):
        method = next(m for m in METHODS if m in step)
        self.where = f"{name} ({method} {step[method]})"
        if method == "WATCH":
            self.watch(step, name)
        elif step.get("eventually"):
            self.repeat(method, step)
        else:
            self.request(method, step)

    def repeat(self, method, step):
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                return self.request(method, step)
            except Failure:
                if time.monotonic() > end:  # what is waited for has no event but another answer
                    raise

    # --- one request ---

    def path(self, step, text, **extra):
        word = re.match(r"[a-z]*", text)[0]
        text = filled(KINDS[word][0] + text[len(word):] if word else text, self.known)
        query = urllib.parse.urlencode({**filled(step.get("query", {}), self.known), **extra})
        return text + ("&" if query and "?" in text else "?" if query else "") + query

    def body(self, method, step):
        body = self.plain_body(method, step)
        return body if body is None or not step.get("chunked") else chunks(body, step["chunked"])

    def plain_body(self, method, step):
        if "raw" in step:
            return filled(step["raw"], self.known).encode()
        if "body" not in step and "base" not in step:
            return None
        body = filled(step.get("body", {}), self.known)
        if "base" in step:
            body = merged(filled(step["base"], self.known), body)
        words = step[method].split("?")[0].split("/")
        whole = (method in ("POST", "PUT") or step.get("type") == "apply") and words[0] in KINDS and words[-1] != "scale"
        if whole and isinstance(body, dict) and not step.get("bare") and not {"apiVersion", "kind"} & set(body):
            body = {"apiVersion": KINDS[words[0]][1], "kind": KINDS[words[0]][2], **body}
        return json.dumps(body).encode()

    def headers(self, step):
        kind = step.get("type", "json")
        headers = {"Content-Type": TYPES.get(kind, kind), **filled(step.get("headers", {}), self.known)}
        if "chunked" in step:
            headers["Transfer-Encoding"] = "chunked"
        if "accept" in step:
            headers["Accept"] = step["accept"]
        return headers

    def request(self, method, step):
        response = self.client.send(self.connection, method, self.path(step, step[method]), self.body(method, step),
                                    self.headers(step))
        answer = Answer(response)
        if answer.status == 413:
            self.connection.close()  # a server need not read on to answer the next one
        self.judge(step, answer, 201 if method == "POST" else 200)

    def judge(self, step, answer, usual):
        wanted = step.get("status", usual)
        if answer.status not in (wanted if isinstance(wanted, list) else [wanted]):
            raise Failure(f"{self.where}: status {wanted} was expected, there is {answer.status}: {answer.text[:1500]}")
        patterns = [("match", answer.json), ("text", answer.text), ("header", dict(answer.headers))]
        for key, got in patterns:
            wrong = difference(filled(step[key], self.known), got) if key in step else None
            if wrong:
                raise Failure(f"{self.where}: {wrong}\nin {answer.text[:3000]}")
        self.keep(step, answer.json)

    def keep(self, step, value):
        for name, path in step.get("keep", {}).items():
            self.known[name] = part(value, path)

    # --- a watch ---

    def watch(self, step, name):
        connection = self.client.connect()
        try:
            response = self.client.send(connection, "GET", self.path(step, step["WATCH"], watch="1"), None, self.headers(step))
            if step.get("status", 200) != 200 or response.status != 200:
                self.judge(step, Answer(response), 200)
                return
            where = self.where
            self.steps(step.get("during", ()), f"{name}.")
            self.where = where
            self.events(step, response)
        finally:
            connection.close()

    def events(self, step, response):
        seen, skipped = [], step.get("skip", ())
        for i, wanted in enumerate(step["events"]):
            event = self.event(response, skipped)
            ((kind, pattern),) = wanted.items()
            what = f"event {i + 1}"
            if event is None:
                raise Failure(f"{self.where}: the stream ended before {what}, {kind}; it told {show(seen)}")
            wrong = difference({"type": kind, "object": filled(pattern, self.known)}, event, what)
            if wrong:
                raise Failure(f"{self.where}: {wrong}\nin {json.dumps(event)[:2000]}")
            seen.append(event)
        if step.get("ends") and (event := self.event(response, skipped)):
            raise Failure(f"{self.where}: the stream was to end, but told {show(event)}")
        self.keep(step, seen)

    @staticmethod
    def event(response, skipped):
        while line := response.readline():
            event = json.loads(line)
            if event["type"] not in skipped:
                return event
        return None


# --- the files ---


def topics():
    return sorted(os.path.basename(f)[:-5] for f in glob.glob(os.path.join(CASES, "*.yaml"))
                  if os.path.basename(f) != "unjudged.yaml")


def read(topic):
    with open(os.path.join(CASES, topic + ".yaml"), encoding="utf-8") as file:
        cases = yaml.load(file, Loader)
    for case in cases:
        case["topic"] = topic
        case["name"] = f"{topic}: {case['case']}"
    return cases


def unjudged():
    """{name of a case: page of the documentation}"""
    with open(os.path.join(CASES, "unjudged.yaml"), encoding="utf-8") as file:
        return {f"{entry['topic']}: {entry['case']}": entry for entry in yaml.safe_load(file) or []}


def refuses(steps):
    """Does a case prove a refusal? That something is gone afterwards (GET, 404) is none."""
    def one(step):
        status = step.get("status", 200)
        status = max(status) if isinstance(status, list) else status
        return (status >= 400 and not ("GET" in step and status == 404)
                or any("ERROR" in event for event in step.get("events", ())) or refuses(step.get("during", ())))
    return any(one(step) for step in steps)


def crds():
    """The definitions that cases use: the suite's own and those of this tree."""
    files = glob.glob(os.path.join(CASES, "crds/*.yaml")) + glob.glob(os.path.join(HERE, "../../crds/*.yaml"))
    for name in sorted(files):
        with open(name, encoding="utf-8") as file:
            yield from yaml.load_all(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def install(client):
    """Makes the definitions that are not there, and waits until each kind is served."""
    for crd in crds():
        spec = crd["spec"]
        served = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        Run(client, {"steps": [{"POST": "customresourcedefinitions", "body": crd, "status": [201, 409]},
                               {"GET": served, "eventually": True}]})()
