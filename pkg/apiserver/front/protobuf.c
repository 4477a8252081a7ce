/* Protobuf bodies to JSON, by tables of field numbers from the generated.proto files of k8s.io/api
 * and k8s.io/apimachinery (0.32); numbers never change their meaning. Unknown numbers are skipped,
 * as newer clients may send them; managedFields, status and selfLink are left out, because the
 * server drops them anyway.
 *
 * Go's encoder writes zero values of plain fields and omits absent pointers; the JSON forms omit
 * the first. `pointer` marks the second, whose zero means something.
 *
 * A body is "k8s\0", then runtime.Unknown {typeMeta, raw, contentEncoding, contentType}. Pure;
 * fuzzed as apiserver_protobuf. Strings that are no UTF-8 are found by the JSON parser behind. */

#include "apiserver/front/protobuf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "json/json.h"

enum field_type {
	FIELD_STRING,
	FIELD_INT,
	FIELD_BOOL,
	FIELD_TIME,
	FIELD_MICRO_TIME,
	FIELD_MESSAGE,
	FIELD_STRING_MAP,
	FIELD_BYTES_MAP, /* base64 in JSON */
};

struct field {
	const char *name; /* NULL ends a table */
	const struct field *message;
	unsigned number;
	enum field_type type;
	bool repeated, pointer;
};

/* --- tables ----------------------------------------------------------------------------------- */

static const struct field owner_reference[] = {
	{ "kind", NULL, 1, FIELD_STRING, false, false },
	{ "name", NULL, 3, FIELD_STRING, false, false },
	{ "uid", NULL, 4, FIELD_STRING, false, false },
	{ "apiVersion", NULL, 5, FIELD_STRING, false, false },
	{ "controller", NULL, 6, FIELD_BOOL, false, true },
	{ "blockOwnerDeletion", NULL, 7, FIELD_BOOL, false, true },
	{ .name = NULL },
};

static const struct field object_meta[] = {
	{ "name", NULL, 1, FIELD_STRING, false, false },
	{ "generateName", NULL, 2, FIELD_STRING, false, false },
	{ "namespace", NULL, 3, FIELD_STRING, false, false },
	{ "uid", NULL, 5, FIELD_STRING, false, false },
	{ "resourceVersion", NULL, 6, FIELD_STRING, false, false },
	{ "generation", NULL, 7, FIELD_INT, false, false },
	{ "creationTimestamp", NULL, 8, FIELD_TIME, false, false },
	{ "deletionTimestamp", NULL, 9, FIELD_TIME, false, false },
	{ "deletionGracePeriodSeconds", NULL, 10, FIELD_INT, false, true },
	{ "labels", NULL, 11, FIELD_STRING_MAP, false, false },
	{ "annotations", NULL, 12, FIELD_STRING_MAP, false, false },
	{ "ownerReferences", owner_reference, 13, FIELD_MESSAGE, true, false },
	{ "finalizers", NULL, 14, FIELD_STRING, true, false },
	{ .name = NULL },
};

static const struct field namespace_spec[] = {
	{ "finalizers", NULL, 1, FIELD_STRING, true, false },
	{ .name = NULL },
};

static const struct field namespace_fields[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "spec", namespace_spec, 2, FIELD_MESSAGE, false, false },
	{ .name = NULL },
};

static const struct field config_map[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "data", NULL, 2, FIELD_STRING_MAP, false, false },
	{ "binaryData", NULL, 3, FIELD_BYTES_MAP, false, false },
	{ "immutable", NULL, 4, FIELD_BOOL, false, true },
	{ .name = NULL },
};

static const struct field secret[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "data", NULL, 2, FIELD_BYTES_MAP, false, false },
	{ "type", NULL, 3, FIELD_STRING, false, false },
	{ "stringData", NULL, 4, FIELD_STRING_MAP, false, false },
	{ "immutable", NULL, 5, FIELD_BOOL, false, true },
	{ .name = NULL },
};

static const struct field lease_spec[] = {
	{ "holderIdentity", NULL, 1, FIELD_STRING, false, true },
	{ "leaseDurationSeconds", NULL, 2, FIELD_INT, false, true },
	{ "acquireTime", NULL, 3, FIELD_MICRO_TIME, false, true },
	{ "renewTime", NULL, 4, FIELD_MICRO_TIME, false, true },
	{ "leaseTransitions", NULL, 5, FIELD_INT, false, true },
	{ "strategy", NULL, 6, FIELD_STRING, false, true },
	{ "preferredHolder", NULL, 7, FIELD_STRING, false, true },
	{ .name = NULL },
};

static const struct field lease[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "spec", lease_spec, 2, FIELD_MESSAGE, false, false },
	{ .name = NULL },
};

static const struct field object_reference[] = {
	{ "kind", NULL, 1, FIELD_STRING, false, false },
	{ "namespace", NULL, 2, FIELD_STRING, false, false },
	{ "name", NULL, 3, FIELD_STRING, false, false },
	{ "uid", NULL, 4, FIELD_STRING, false, false },
	{ "apiVersion", NULL, 5, FIELD_STRING, false, false },
	{ "resourceVersion", NULL, 6, FIELD_STRING, false, false },
	{ "fieldPath", NULL, 7, FIELD_STRING, false, false },
	{ .name = NULL },
};

static const struct field event_source[] = {
	{ "component", NULL, 1, FIELD_STRING, false, false },
	{ "host", NULL, 2, FIELD_STRING, false, false },
	{ .name = NULL },
};

static const struct field event_series[] = {
	{ "count", NULL, 1, FIELD_INT, false, false },
	{ "lastObservedTime", NULL, 2, FIELD_MICRO_TIME, false, false },
	{ .name = NULL },
};

static const struct field core_event[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "involvedObject", object_reference, 2, FIELD_MESSAGE, false, false },
	{ "reason", NULL, 3, FIELD_STRING, false, false },
	{ "message", NULL, 4, FIELD_STRING, false, false },
	{ "source", event_source, 5, FIELD_MESSAGE, false, false },
	{ "firstTimestamp", NULL, 6, FIELD_TIME, false, false },
	{ "lastTimestamp", NULL, 7, FIELD_TIME, false, false },
	{ "count", NULL, 8, FIELD_INT, false, false },
	{ "type", NULL, 9, FIELD_STRING, false, false },
	{ "eventTime", NULL, 10, FIELD_MICRO_TIME, false, false },
	{ "series", event_series, 11, FIELD_MESSAGE, false, false },
	{ "action", NULL, 12, FIELD_STRING, false, false },
	{ "related", object_reference, 13, FIELD_MESSAGE, false, false },
	{ "reportingComponent", NULL, 14, FIELD_STRING, false, false },
	{ "reportingInstance", NULL, 15, FIELD_STRING, false, false },
	{ .name = NULL },
};

static const struct field event[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "eventTime", NULL, 2, FIELD_MICRO_TIME, false, false },
	{ "series", event_series, 3, FIELD_MESSAGE, false, false },
	{ "reportingController", NULL, 4, FIELD_STRING, false, false },
	{ "reportingInstance", NULL, 5, FIELD_STRING, false, false },
	{ "action", NULL, 6, FIELD_STRING, false, false },
	{ "reason", NULL, 7, FIELD_STRING, false, false },
	{ "regarding", object_reference, 8, FIELD_MESSAGE, false, false },
	{ "related", object_reference, 9, FIELD_MESSAGE, false, false },
	{ "note", NULL, 10, FIELD_STRING, false, false },
	{ "type", NULL, 11, FIELD_STRING, false, false },
	{ "deprecatedSource", event_source, 12, FIELD_MESSAGE, false, false },
	{ "deprecatedFirstTimestamp", NULL, 13, FIELD_TIME, false, false },
	{ "deprecatedLastTimestamp", NULL, 14, FIELD_TIME, false, false },
	{ "deprecatedCount", NULL, 15, FIELD_INT, false, false },
	{ .name = NULL },
};

static const struct field preconditions[] = {
	{ "uid", NULL, 1, FIELD_STRING, false, true },
	{ "resourceVersion", NULL, 2, FIELD_STRING, false, true },
	{ .name = NULL },
};

static const struct field delete_options[] = {
	{ "gracePeriodSeconds", NULL, 1, FIELD_INT, false, true },
	{ "preconditions", preconditions, 2, FIELD_MESSAGE, false, true },
	{ "orphanDependents", NULL, 3, FIELD_BOOL, false, true },
	{ "propagationPolicy", NULL, 4, FIELD_STRING, false, true },
	{ "dryRun", NULL, 5, FIELD_STRING, true, false },
	{ .name = NULL },
};

static const struct field resource_attributes[] = {
	{ "namespace", NULL, 1, FIELD_STRING, false, false },
	{ "verb", NULL, 2, FIELD_STRING, false, false },
	{ "group", NULL, 3, FIELD_STRING, false, false },
	{ "version", NULL, 4, FIELD_STRING, false, false },
	{ "resource", NULL, 5, FIELD_STRING, false, false },
	{ "subresource", NULL, 6, FIELD_STRING, false, false },
	{ "name", NULL, 7, FIELD_STRING, false, false },
	{ .name = NULL },
};

static const struct field path_attributes[] = {
	{ "path", NULL, 1, FIELD_STRING, false, false },
	{ "verb", NULL, 2, FIELD_STRING, false, false },
	{ .name = NULL },
};

static const struct field access_spec[] = {
	{ "resourceAttributes", resource_attributes, 1, FIELD_MESSAGE, false, true },
	{ "nonResourceAttributes", path_attributes, 2, FIELD_MESSAGE, false, true },
	{ .name = NULL },
};

static const struct field access_review[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "spec", access_spec, 2, FIELD_MESSAGE, false, false },
	{ .name = NULL },
};

static const struct field rules_spec[] = {
	{ "namespace", NULL, 1, FIELD_STRING, false, false },
	{ .name = NULL },
};

static const struct field rules_review[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ "spec", rules_spec, 2, FIELD_MESSAGE, false, false },
	{ .name = NULL },
};

static const struct field self_review[] = {
	{ "metadata", object_meta, 1, FIELD_MESSAGE, false, false },
	{ .name = NULL },
};

static const struct {
	const char *version; /* NULL: in any */
	const char *kind;
	const struct field *fields;
} kinds[] = {
	{ "v1", "Namespace", namespace_fields },
	{ "v1", "ConfigMap", config_map },
	{ "v1", "Secret", secret },
	{ "v1", "Event", core_event },
	{ "events.k8s.io/v1", "Event", event },
	{ "coordination.k8s.io/v1", "Lease", lease },
	{ "authorization.k8s.io/v1", "SelfSubjectAccessReview", access_review },
	{ "authorization.k8s.io/v1", "SelfSubjectRulesReview", rules_review },
	{ "authentication.k8s.io/v1", "SelfSubjectReview", self_review },
	{ NULL, "DeleteOptions", delete_options },
};

/* --- the wire (protobuf.dev, "Encoding") --- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct item {
	unsigned number, wire;
	uint64_t value;
	const uint8_t *bytes; /* WIRE_BYTES */
	size_t len;
};

static uint64_t read_varint(struct cursor *c)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cursor_u8(c);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	cursor_fail(c);
	return 0;
}

/* False at the end and on error; ask cursor_ok(). Groups are not of this century. */
static bool next_item(struct cursor *c, struct item *ret)
{
	if (!cursor_left(c) || !cursor_ok(c))
		return false;
	uint64_t key = read_varint(c);
	struct item item = { .number = (unsigned)(key >> 3), .wire = key & 7 };
	if (item.wire == WIRE_VARINT) {
		item.value = read_varint(c);
	} else if (item.wire == WIRE_BYTES) {
		uint64_t len = read_varint(c);
		item.bytes = len <= cursor_left(c) ? cursor_bytes(c, (size_t)len) : NULL;
		item.len = (size_t)len;
		if (!item.bytes)
			cursor_fail(c);
	} else if (item.wire == WIRE_64 || item.wire == WIRE_32) {
		cursor_skip(c, item.wire == WIRE_64 ? 8 : 4);
	} else {
		cursor_fail(c);
	}
	*ret = item;
	return cursor_ok(c);
}

/* The last item of that number wins, as the encoding demands. */
static bool find_item(const uint8_t *data, size_t len, unsigned number, unsigned wire,
		      struct item *ret)
{
	struct cursor c;
	struct item item;
	bool found = false;
	cursor_init(&c, data, len);
	while (next_item(&c, &item))
		if (item.number == number && item.wire == wire) {
			*ret = item;
			found = true;
		}
	return found;
}

static bool well_formed(const uint8_t *data, size_t len)
{
	struct cursor c;
	struct item item;
	cursor_init(&c, data, len);
	while (next_item(&c, &item))
		;
	return cursor_ok(&c);
}

/* --- values --- */

static int emit_message(const struct field *fields, const uint8_t *data, size_t len,
			struct strbuf *out);

static int emit_string(const uint8_t *bytes, size_t len, struct strbuf *out)
{
	if (memchr(bytes, '\0', len))
		return -EINVAL;
	_cleanup_(freep) char *s = xstrndup((const char *)bytes, len);
	json_quote(s, out);
	return 0;
}

static void emit_base64(const uint8_t *bytes, size_t len, struct strbuf *out)
{
	_cleanup_(freep) char *s = base64_encode(bytes, len);
	json_quote(s, out);
}

/* Also of MicroTime: {1: seconds, 2: nanoseconds}. */
static int emit_time(const struct item *item, bool micro, struct strbuf *out)
{
	struct item part;
	char text[CLOCK_TEXT_MAX];
	uint64_t seconds = 0, nanos = 0;
	if (!well_formed(item->bytes, item->len))
		return -EINVAL;
	if (find_item(item->bytes, item->len, 1, WIRE_VARINT, &part))
		seconds = part.value;
	if (find_item(item->bytes, item->len, 2, WIRE_VARINT, &part))
		nanos = part.value;
	/* Years beyond 9999 have no RFC 3339 form; years before 1970 are negative, hence huge. */
	if (seconds > UINT64_C(253402300799) || nanos >= 1000000000)
		return -EINVAL;
	usec_t t = seconds * USEC_PER_SEC + nanos / 1000;
	json_quote(micro ? clock_format_micro(t, text) : clock_format(t, text), out);
	return 0;
}

static int emit_value(const struct field *f, const struct item *item, struct strbuf *out)
{
	switch (f->type) {
	case FIELD_STRING:
		return emit_string(item->bytes, item->len, out);
	case FIELD_INT:
		strbuf_addf(out, "%" PRId64, (int64_t)item->value);
		return 0;
	case FIELD_BOOL:
		strbuf_adds(out, item->value ? "true" : "false");
		return 0;
	case FIELD_TIME:
	case FIELD_MICRO_TIME:
		return emit_time(item, f->type == FIELD_MICRO_TIME, out);
	case FIELD_MESSAGE:
		return emit_message(f->message, item->bytes, item->len, out);
	case FIELD_STRING_MAP:
	case FIELD_BYTES_MAP:
		break; /* emit_map */
	}
	return -EINVAL;
}

static unsigned wire_of(enum field_type type)
{
	return type == FIELD_INT || type == FIELD_BOOL ? WIRE_VARINT : WIRE_BYTES;
}

/* Entries are messages {1: key, 2: value}; what is absent is empty. */
static int emit_entry(const struct field *f, const struct item *entry, struct strbuf *out)
{
	struct item key = { .bytes = entry->bytes }, value = { .bytes = entry->bytes };
	if (!well_formed(entry->bytes, entry->len))
		return -EINVAL;
	find_item(entry->bytes, entry->len, 1, WIRE_BYTES, &key);
	find_item(entry->bytes, entry->len, 2, WIRE_BYTES, &value);
	int r = emit_string(key.bytes, key.len, out);
	strbuf_addc(out, ':');
	if (r < 0 || f->type == FIELD_STRING_MAP)
		return r < 0 ? r : emit_string(value.bytes, value.len, out);
	emit_base64(value.bytes, value.len, out);
	return 0;
}

/* All items of the field's number, as an array or (maps) an object. */
static int emit_all(const struct field *f, const uint8_t *data, size_t len, bool map,
		    struct strbuf *out)
{
	struct cursor c;
	struct item item;
	int r = 0;
	bool first = true;
	strbuf_addc(out, map ? '{' : '[');
	cursor_init(&c, data, len);
	while (r == 0 && next_item(&c, &item)) {
		if (item.number != f->number || item.wire != wire_of(f->type))
			continue;
		if (!first)
			strbuf_addc(out, ',');
		first = false;
		r = map ? emit_entry(f, &item, out) : emit_value(f, &item, out);
	}
	strbuf_addc(out, map ? '}' : ']');
	return r;
}

/* What the JSON form leaves out: Go's zero values behind no pointer. Structs are always there. */
static bool omitted(const struct field *f, const struct item *item)
{
	if (f->pointer || f->type == FIELD_MESSAGE)
		return false;
	return item->wire == WIRE_VARINT ? item->value == 0 : item->len == 0;
}

static int emit_field(const struct field *f, const uint8_t *data, size_t len, bool *first,
		      struct strbuf *out)
{
	bool map = f->type == FIELD_STRING_MAP || f->type == FIELD_BYTES_MAP;
	struct item item;
	if (!find_item(data, len, f->number, wire_of(f->type), &item))
		return 0;
	if (!map && !f->repeated && omitted(f, &item))
		return 0;
	if (!*first)
		strbuf_addc(out, ',');
	*first = false;
	json_quote(f->name, out);
	strbuf_addc(out, ':');
	return map || f->repeated ? emit_all(f, data, len, map, out) : emit_value(f, &item, out);
}

static int emit_fields(const struct field *fields, const uint8_t *data, size_t len, bool first,
		       struct strbuf *out)
{
	if (!well_formed(data, len))
		return -EINVAL;
	int r = 0;
	for (const struct field *f = fields; f->name && r == 0; f++)
		r = emit_field(f, data, len, &first, out);
	return r;
}

static int emit_message(const struct field *fields, const uint8_t *data, size_t len,
			struct strbuf *out)
{
	strbuf_addc(out, '{');
	int r = emit_fields(fields, data, len, true, out);
	strbuf_addc(out, '}');
	return r;
}

/* --- the envelope --- */

static char *take_string(const struct item *message, unsigned number)
{
	struct item item = { 0 };
	if (!find_item(message->bytes, message->len, number, WIRE_BYTES, &item))
		return xstrdup("");
	return xstrndup((const char *)item.bytes, item.len);
}

static const struct field *find_kind(const char *version, const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(kinds[i].kind, kind) &&
		    (!kinds[i].version || streq(kinds[i].version, version)))
			return kinds[i].fields;
	return NULL;
}

int protobuf_to_json(const void *data, size_t len, struct strbuf *out)
{
	static const uint8_t magic[4] = { 'k', '8', 's', 0 };
	const uint8_t *body = data;
	struct item type, raw = { .bytes = body }, encoding;
	if (len < sizeof(magic) || memcmp(body, magic, sizeof(magic)) != 0)
		return -EINVAL;
	body += sizeof(magic);
	len -= sizeof(magic);
	if (!well_formed(body, len) || !find_item(body, len, 1, WIRE_BYTES, &type))
		return -EINVAL;
	if (find_item(body, len, 3, WIRE_BYTES, &encoding) && encoding.len > 0)
		return -EOPNOTSUPP; /* compressed; nobody does */
	find_item(body, len, 2, WIRE_BYTES, &raw);
	_cleanup_(freep) char *version = take_string(&type, 1), *kind = take_string(&type, 2);
	const struct field *fields = find_kind(version, kind);
	if (!fields)
		return -EOPNOTSUPP;
	strbuf_adds(out, "{\"apiVersion\":");
	json_quote(version, out);
	strbuf_adds(out, ",\"kind\":");
	json_quote(kind, out);
	int r = emit_fields(fields, raw.bytes, raw.len, false, out);
	strbuf_addc(out, '}');
	return r;
}
