// The standalone API through @kubernetes/client-node, which nobody here wrote. TAP.
//
// usage: node node.mjs MODULE-DIRECTORY        (KUBECONFIG names the server)
//
// Waits are for events of informers and watches; the limit only keeps a broken server from hanging the test.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

const require = createRequire(process.argv[2] + "/");
const k8s = await import(pathToFileURL(require.resolve("@kubernetes/client-node")));
const LIMIT_MS = 60000;

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const KIND = { group: "metal3.io", version: "v1alpha1", plural: "baremetalhosts" };
const PATH = "/apis/metal3.io/v1alpha1/namespaces/clients/baremetalhosts";

function host(name, spec = {}) {
  return {
    apiVersion: "metal3.io/v1alpha1", kind: "BareMetalHost",
    metadata: { name, namespace: "clients", labels: { rack: "a" } },
    spec: { online: false, bootMACAddress: "52:54:00:00:00:0" + (name.charCodeAt(0) % 10), ...spec },
  };
}

const create = (name, spec) => custom.createNamespacedCustomObject({ ...KIND, namespace: "clients", body: host(name, spec) });
const remove = (name) => custom.deleteNamespacedCustomObject({ ...KIND, namespace: "clients", name });
const list = (more = {}) => custom.listNamespacedCustomObject({ ...KIND, namespace: "clients", ...more });

async function refused(promise, code, ...words) {
  const error = await promise.then((value) => assert.fail("was taken: " + JSON.stringify(value)), (e) => e);
  assert.equal(error.code, code, String(error));
  for (const word of words) assert.ok(String(error.body).includes(word), `no ${word} in ${error.body}`);
}

// A queue of what happened: next() waits for the next one that fits.
class Events {
  seen = []; waiting = null;
  push(event) { this.seen.push(event); this.waiting?.(); }
  async next(fits) {
    for (;;) {
      const at = this.seen.findIndex(fits);
      if (at >= 0) return this.seen.splice(0, at + 1).at(-1);
      await new Promise((resolve) => { this.waiting = resolve; });
    }
  }
}

const cases = {
  async crud() {
    const made = await create("crud", { description: "Grüße €" });
    assert.ok(made.metadata.uid && made.metadata.resourceVersion && made.metadata.generation === 1);
    const read = await custom.getNamespacedCustomObject({ ...KIND, namespace: "clients", name: "crud" });
    assert.equal(read.spec.description, "Grüße €");
    read.spec.online = true;
    const written = await custom.replaceNamespacedCustomObject({ ...KIND, namespace: "clients", name: "crud", body: read });
    assert.ok(written.spec.online && written.metadata.generation === 2);
    await refused(custom.replaceNamespacedCustomObject({ ...KIND, namespace: "clients", name: "crud", body: read }), 409, "Conflict");
    await refused(create("crud"), 409, "AlreadyExists");
    await remove("crud");
    await refused(custom.getNamespacedCustomObject({ ...KIND, namespace: "clients", name: "crud" }), 404, "NotFound");
  },

  async validation() {
    await refused(create("wrong", { bootMode: "sideways" }), 422, "spec.bootMode", "Unsupported value");
    await refused(create("Wrong"), 422, "metadata.name");
  },

  async typed_kinds() {
    await core.createNamespacedSecret({ namespace: "clients", body: { metadata: { name: "bmc" }, stringData: { username: "admin" } } });
    const secret = await core.readNamespacedSecret({ namespace: "clients", name: "bmc" });
    assert.equal(Buffer.from(secret.data.username, "base64").toString(), "admin");
    assert.ok(secret.metadata.creationTimestamp instanceof Date && !Number.isNaN(+secret.metadata.creationTimestamp));
    const all = await core.listNamespacedSecret({ namespace: "clients" });
    assert.deepEqual(all.items.map((s) => s.metadata.name), ["bmc"]);
    assert.equal((await core.deleteNamespacedSecret({ namespace: "clients", name: "bmc" })).status, "Success");
  },

  async patches() {
    await create("patched");
    const patch = (body, type) => custom.patchNamespacedCustomObject({ ...KIND, namespace: "clients", name: "patched", body },
                                                                     k8s.setHeaderOptions("Content-Type", type));
    const merged = await patch({ spec: { online: true }, metadata: { labels: { rack: null } } }, k8s.PatchStrategy.MergePatch);
    assert.ok(merged.spec.online && !merged.metadata.labels?.rack && merged.spec.bootMACAddress);
    const changed = await patch([{ op: "test", path: "/spec/online", value: true }, { op: "replace", path: "/spec/online", value: false }],
                                k8s.PatchStrategy.JsonPatch);
    assert.equal(changed.spec.online, false);
    await refused(patch([{ op: "test", path: "/spec/online", value: true }], k8s.PatchStrategy.JsonPatch), 422);
    await remove("patched");
  },

  async apply() {
    const wanted = host("applied");
    const apply = (spec) => objects.patch(spec, undefined, undefined, "client-node", true, k8s.PatchStrategy.ServerSideApply);
    let made;
    try {
      made = await apply(wanted);
    } catch (error) {
      if (error.code === 415) return "server-side apply is not served";
      throw error;
    }
    assert.equal(made.metadata.managedFields[0].manager, "client-node");
    const again = await apply({ ...wanted, spec: { ...wanted.spec, online: true } });
    assert.ok(again.spec.online && again.metadata.uid === made.metadata.uid);
    await remove("applied");
  },

  async pages() {
    const names = ["a", "b", "c", "d", "e"].map((n) => n + "-page");
    for (const name of names) await create(name);
    const first = await list({ limit: 2 }), found = [...first.items];
    assert.equal(first.items.length, 2);
    for (let page = first; page.metadata._continue ?? page.metadata.continue;) {
      page = await list({ limit: 2, _continue: page.metadata._continue ?? page.metadata.continue });
      found.push(...page.items);
    }
    assert.deepEqual(found.map((o) => o.metadata.name).sort(), names);
    assert.equal((await list({ labelSelector: "rack=b" })).items.length, 0);
    assert.equal((await list({ fieldSelector: "metadata.name=c-page" })).items.length, 1);
    await custom.deleteCollectionNamespacedCustomObject({ ...KIND, namespace: "clients" });
    assert.equal((await list()).items.length, 0);
  },

  async watch() {
    const events = new Events(), from = (await list()).metadata.resourceVersion;
    await create("before");
    const stop = await new k8s.Watch(config).watch(PATH, { resourceVersion: from, allowWatchBookmarks: true },
      (type, object) => events.push({ type, name: object.metadata.name }), () => events.push({ type: "end" }));
    await events.next((e) => e.type === "ADDED" && e.name === "before");
    await remove("before");
    await events.next((e) => e.type === "DELETED" && e.name === "before");
    stop.abort();
    await events.next((e) => e.type === "end");
  },

  async informer() {
    const events = new Events();
    await create("first");
    const informer = k8s.makeInformer(config, PATH, () => list());
    for (const verb of ["add", "update", "delete"]) informer.on(verb, (o) => events.push({ verb, name: o.metadata.name, online: o.spec.online }));
    for (const verb of ["error", "connect"]) informer.on(verb, (error) => events.push({ verb, error }));
    await informer.start();
    await events.next((e) => e.verb === "add" && e.name === "first");
    await create("second");
    await events.next((e) => e.verb === "add" && e.name === "second");
    await custom.patchNamespacedCustomObject({ ...KIND, namespace: "clients", name: "second", body: { spec: { online: true } } },
                                             k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch));
    await events.next((e) => e.verb === "update" && e.name === "second" && e.online);
    assert.equal(informer.get("second", "clients").spec.online, true);
    await remove("first");
    await events.next((e) => e.verb === "delete" && e.name === "first");
    assert.deepEqual(informer.list("clients").map((o) => o.metadata.name), ["second"]);
    await informer.stop();
    await remove("second");
  },
};

await core.createNamespace({ body: { metadata: { name: "clients" } } });
const names = Object.keys(cases);
let failed = false;
console.log(`1..${names.length}`);
for (const [n, name] of names.entries()) {
  let timer;
  const limit = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("no end")), LIMIT_MS); });
  try {
    const skipped = await Promise.race([cases[name](), limit]);
    console.log(`ok ${n + 1} - node_${name}` + (skipped ? ` # SKIP ${skipped}` : ""));
  } catch (error) {
    failed = true;
    console.log(`not ok ${n + 1} - node_${name}\n` + String(error.stack ?? error).split("\n").map((l) => "# " + l).join("\n"));
  }
  clearTimeout(timer);
}
process.exit(failed ? 1 : 0);
