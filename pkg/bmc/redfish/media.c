/* Virtual media (DSP2046, VirtualMedia). First the slots that can hold a CD are read; then what is
 * in them is ejected, if it is ours or may go; then the first slot that takes the image gets it,
 * and is read back, because there are BMCs that report a success and insert nothing.
 *
 * An image that another client has inserted stays where it is: the request fails and names it,
 * unless it says `replace`, and then the result says what was ejected. Beside it ours would not do:
 * a host that boots "from CD" takes either. Core thread. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { SLOTS_MAX = 16, POSTS_MAX = 4, ERROR_TRIES = 3, LOOKS_MAX = 5 };

struct slot {
	char *path, *etag, *allow;
	struct json *body;
	bool inserted;
};

struct media {
	struct slot slots[SLOTS_MAX];
	size_t count, at;
	char *url;     /* to be inserted or ejected; borrowed from the request; NULL: any */
	bool replace;  /* what another client has inserted */
	bool cached;   /* only the slot that was used last has been read */
	bool enabled;  /* AMI's switch has been tried */
	rf_fn next;    /* when the slots have been read */
	rf_fn ejected; /* when the slot `at` is empty */
	char *gone;    /* another client's URL that was ejected */
	bool protocol, method, login; /* what the BMC has asked for, too */
	bool braces;		      /* an eject without a body was refused */
	unsigned posts, errors, looks;
	char why[200]; /* the last slot did not take it */
};

static void media_done(void *state)
{
	struct media *m = state;
	for (size_t i = 0; i < m->count; i++) {
		free(m->slots[i].path);
		free(m->slots[i].etag);
		free(m->slots[i].allow);
		json_free(m->slots[i].body);
	}
	secret_free(m->gone);
}

static struct slot *slot_of(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	return &m->slots[m->at];
}

/* --- what a slot is -------------------------------------------------------------------------- */

static bool is_text(const struct json *j)
{
	const char *s = json_string(j);
	return !str_empty(s) && strcasecmp(s, "None") != 0 && strcasecmp(s, "N/A") != 0;
}

/* Inserted may be null or absent; what it says counts for more than names that stay behind. */
static bool is_inserted(const struct rf_bmc *rf, const struct json *slot)
{
	bool inserted;
	const char *via = json_get_string(slot, "ConnectedVia");
	if (json_bool(json_get(slot, "Inserted"), &inserted))
		return inserted;
	if (via && strcasecmp(via, "NotConnected") == 0)
		return false;
	if (via && rf_quirk(rf, RF_QUIRK_IMAGE_STAYS))
		return true;
	return is_text(json_get(slot, "Image")) ||
	       (is_text(json_get(slot, "ImageName")) && !rf_quirk(rf, RF_QUIRK_IMAGE_STAYS));
}

static bool names_cd(const struct json *slot)
{
	const char *id = str_or(json_get_string(slot, "Id"), "");
	const char *name = str_or(json_get_string(slot, "Name"), "");
	return strcasestr(id, "CD") || strcasestr(id, "DVD") || strcasestr(name, "CD") ||
	       strcasestr(name, "DVD");
}

/* Gigabyte's have no types, only names. */
static bool holds_cd(const struct json *slot)
{
	const struct json *types = json_get(slot, "MediaTypes");
	if (json_count(types) == 0)
		return names_cd(slot);
	json_for_each(t, types) {
		const char *type = str_or(json_string(t), "");
		if (strcasecmp(type, "CD") == 0 || strcasecmp(type, "DVD") == 0)
			return true;
	}
	return false;
}

/* Lenovo's RDOC slots claim the same types, and take no URLs. */
static bool takes_urls(const struct rf_bmc *rf, const struct json *slot)
{
	const char *id = str_or(json_get_string(slot, "Id"), "");
	return !rf_quirk(rf, RF_QUIRK_EXT_SLOTS) || strncasecmp(id, "EXT", 3) == 0 ||
	       strncasecmp(id, "Remote", 6) == 0;
}

static const char *vmm_of(const struct rf_bmc *rf, const struct json *slot)
{
	const struct json *actions = json_get_path(slot, "Oem.Huawei.Actions");
	if (!rf_quirk(rf, RF_QUIRK_VMM_CONTROL))
		return NULL;
	return json_get_string(json_get(actions, "#VirtualMedia.VmmControl"), "target");
}

/* A slot without any action is changed itself, unless the BMC says that it cannot be. One with
 * some, but none to insert, is for the web console (OpenBMC). */
static bool is_patched(const struct slot *s)
{
	if (*s->allow)
		return strcasestr(s->allow, "PATCH");
	return !json_get(json_get(s->body, "Actions"), "#VirtualMedia.EjectMedia");
}

/* --- whose it is ----------------------------------------------------------------------------- */

/* "https://host:port" of a URL. */
static size_t origin_length(const char *url)
{
	const char *host = strstr(url, "://");
	return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

static bool same_origin(const char *a, const char *b)
{
	size_t n = origin_length(a);
	return n > 0 && n == origin_length(b) && strncasecmp(a, b, n) == 0;
}

/* Images of the server that ours is on are ours; so is what we have put there ourselves, and a slot
 * that says that it is in use, but by nothing (Dell). */
static bool is_ours(const struct rf_bmc *rf, const struct media *m, const struct slot *s)
{
	const char *image = json_get_string(s->body, "Image");
	if (!is_text(json_get(s->body, "Image")))
		return true;
	/* A BMC may show a part of the URL only: what it showed then is remembered. */
	if (streq(rf->links.media, s->path) && streq(rf->links.media_image, image))
		return true;
	return m->url && same_origin(m->url, image);
}

/* For people: the host only, because a URL may hold a secret. */
static void name_image(const struct slot *s, char *ret, size_t size)
{
	const char *image = str_or(json_get_string(s->body, "Image"), "");
	const char *host = strstr(image, "://");
	host = host ? host + 3 : image;
	size_t n = strcspn(host, "/?#");
	const char *at = memrchr(host, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	snprintf(ret, size, "%.*s", (int)MIN(n, (size_t)100), host);
	for (char *c = ret; *c; c++)
		*c = isgraph((unsigned char)*c) ? *c : '?';
}

/* --- reading the slots ----------------------------------------------------------------------- */

static void add_slot(struct rf_bmc *rf, struct rf_answer *a)
{
	struct media *m = rf_state(rf);
	if (m->count == SLOTS_MAX || !holds_cd(a->body) || !takes_urls(rf, a->body))
		return;
	struct slot *s = &m->slots[m->count++];
	*s = (struct slot){ .path = xstrdup(a->path),
			    .etag = xstrdup(a->etag),
			    .allow = xstrdup(a->allow),
			    .inserted = is_inserted(rf, a->body) };
	s->body = TAKE_PTR(a->body);
}

static void on_slot(struct rf_bmc *rf, struct rf_answer *a)
{
	add_slot(rf, a);
	rf_members_next(rf);
}

static void slots_read(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	m->next(rf);
}

static void no_media(struct rf_bmc *rf)
{
	rf_fail(rf, ERR_UNSUPPORTED,
		"offers no virtual media (VirtualMedia of the system or of its manager): update its "
		"firmware, check its licence, or use an address that boots from the network");
}

/* AMI keeps the service switched off until it is asked for; a refusal shows at the insert. */
static void on_enabled(struct rf_bmc *rf, struct rf_answer *a)
{
	(void)a;
	rf_each_member(rf, rf->links.media_slots, on_slot, slots_read);
}

static const char *enable_target(const struct json *manager)
{
	json_for_each(action, json_get_path(manager, "Actions.Oem"))
		if (str_has_suffix(json_key(action), ".EnableRMedia"))
			return json_get_string(action, "target");
	return NULL;
}

static void on_manager(struct rf_bmc *rf, struct rf_answer *a)
{
	struct media *m = rf_state(rf);
	const char *link = rf_link(a->body, "VirtualMedia");
	const char *enable = enable_target(a->body);
	if (!link) {
		no_media(rf);
		return;
	}
	str_replace(&rf->links.media_slots, link);
	if (!enable || m->enabled || !rf_quirk(rf, RF_QUIRK_ENABLE_MEDIA)) {
		on_enabled(rf, a);
		return;
	}
	m->enabled = true;
	struct json *body = json_new_object();
	json_set_string(body, "RMediaState", "Enable");
	rf_ask(rf,
	       &(struct rf_request){ .method = "POST", .path = enable, .body = body, .any = true },
	       on_enabled);
}

/* New services have them at the system, older ones at the manager. */
static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *link = rf_link(a->body, "VirtualMedia");
	if (link) {
		str_replace(&rf->links.media_slots, link);
		rf_each_member(rf, link, on_slot, slots_read);
	} else if (rf->links.manager) {
		rf_get_manager(rf, on_manager);
	} else {
		no_media(rf);
	}
}

static void read_all(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	media_done(m);
	m->count = m->at = 0;
	m->gone = NULL;
	m->cached = false;
	if (rf->links.media_slots)
		rf_each_member(rf, rf->links.media_slots, on_slot, slots_read);
	else
		rf_get_system(rf, on_system);
}

/* The slot of the last time is enough, as long as it is still one. */
static void on_known_slot(struct rf_bmc *rf, struct rf_answer *a)
{
	struct media *m = rf_state(rf);
	if (a->body)
		add_slot(rf, a);
	if (m->count > 0)
		m->next(rf);
	else
		read_all(rf);
}

static void begin(struct bmc *bmc, const struct bmc_media *want, rf_fn next)
{
	struct rf_bmc *rf = rf_begin(bmc);
	struct media *m = rf_state_new(rf, sizeof(*m), media_done);
	m->url = want ? want->url : NULL;
	m->replace = want && want->replace;
	m->next = next;
	m->cached = rf->links.media != NULL;
	if (m->cached)
		rf_get_optional(rf, rf->links.media, on_known_slot);
	else
		read_all(rf);
}

/* --- what is inserted ------------------------------------------------------------------------ */

static void give_media(struct rf_bmc *rf)
{
	const struct media *m = rf_state(rf);
	for (size_t i = 0; i < m->count; i++) {
		const struct slot *s = &m->slots[i];
		const char *image = json_get_string(s->body, "Image");
		if (!s->inserted)
			continue;
		image = is_text(json_get(s->body, "Image")) ? image
							    : json_get_string(s->body, "ImageName");
		rf_task(rf)->result.media.url = xstrdup(str_or(image, ""));
		break;
	}
	rf_done(rf);
}

void rf_start_get_media(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	begin(bmc, NULL, give_media);
}

/* --- ejecting -------------------------------------------------------------------------------- */

static void eject(struct rf_bmc *rf);

/* Reads the slot until it is empty, or will not become so. */
static void look_ejected(struct rf_bmc *rf);

static void on_look_ejected(struct rf_bmc *rf, struct rf_answer *a)
{
	struct media *m = rf_state(rf);
	struct slot *s = slot_of(rf);
	s->inserted = a->body && is_inserted(rf, a->body);
	if (a->body) {
		json_free(s->body);
		s->body = TAKE_PTR(a->body);
		str_replace(&s->etag, a->etag);
	}
	if (!s->inserted)
		m->ejected(rf);
	else if (++m->looks < LOOKS_MAX)
		rf_after(rf, rf_driver_of(rf)->retry_pause, look_ejected);
	else
		rf_fail(rf, ERR_PROTOCOL, "does not eject the image in %.200s%s%s", s->path,
			*m->why ? ": " : "", m->why);
}

static void look_ejected(struct rf_bmc *rf)
{
	rf_get_optional(rf, slot_of(rf)->path, on_look_ejected);
}

static void keep_reason(struct media *m, const struct rf_answer *a)
{
	_cleanup_(strbuf_done) struct strbuf said = { 0 };
	rf_describe(a, &said);
	snprintf(m->why, sizeof(m->why), "%s", said.data);
}

/* Refusals count only if the image is still there afterwards. */
static void on_eject(struct rf_bmc *rf, struct rf_answer *a)
{
	struct media *m = rf_state(rf);
	if (!rf_is_success(a) && !m->braces &&
	    (a->status == 400 || a->status == 411 || a->status == 415)) {
		m->braces = true;
		eject(rf);
		return;
	}
	if (a->status == 401 || a->status == 403) {
		rf_fail_answer(rf, a);
		return;
	}
	m->why[0] = '\0';
	if (!rf_is_success(a))
		keep_reason(m, a);
	look_ejected(rf);
}

static struct json *patch_out(void)
{
	struct json *body = json_new_object();
	json_set(body, "Image", json_new_null());
	json_set_bool(body, "Inserted", false);
	return body;
}

static struct json *vmm_out(void)
{
	struct json *body = json_new_object();
	json_set_string(body, "VmmControlType", "Disconnect");
	return body;
}

static void eject(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	const struct slot *s = slot_of(rf);
	const char *action = rf_target(s->body, "#VirtualMedia.EjectMedia");
	const char *vmm = action ? NULL : vmm_of(rf, s->body);
	struct rf_request q = { .method = "POST", .any = true, .whole = true };
	if (action) {
		q.path = action;
		q.body = m->braces ? json_new_object() : NULL;
	} else if (vmm) {
		q.path = vmm;
		q.body = vmm_out();
	} else {
		q.method = "PATCH";
		q.path = s->path;
		q.etag = s->etag;
		q.body = patch_out();
	}
	m->looks = 0;
	rf_ask(rf, &q, on_eject);
}

/* Empties slot after slot, from `at` on. */
static void eject_next(struct rf_bmc *rf);

static void refuse_to_eject(struct rf_bmc *rf, const struct slot *s)
{
	char image[128];
	name_image(s, image, sizeof(image));
	rf_fail(rf, ERR_CONFLICT,
		"has an image of %s in %.200s, which another client has inserted: eject it at the BMC",
		image, s->path);
}

/* --- inserting ------------------------------------------------------------------------------- */

static void insert(struct rf_bmc *rf);

/* With the first slot again: now all that may go are empty. */
static void begin_insert(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	m->at = 0;
	if (m->count == 0)
		no_media(rf);
	else
		insert(rf);
}

static void next_slot(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	str_replace(&rf->links.media, NULL);
	m->posts = m->errors = m->looks = 0;
	m->protocol = m->method = m->login = false;
	if (m->cached) {
		read_all(rf);
	} else if (++m->at < m->count) {
		insert(rf);
	} else {
		rf_fail(rf, *m->why ? ERR_INVALID : ERR_UNSUPPORTED,
			"takes the image in none of its %zu slots for virtual media%s%s%s",
			m->count, *m->why ? " (" : "", m->why, *m->why ? ")" : "");
	}
}

static void look_inserted(struct rf_bmc *rf);

static void on_look_inserted(struct rf_bmc *rf, struct rf_answer *a)
{
	struct media *m = rf_state(rf);
	struct slot *s = slot_of(rf);
	if (a->body && is_inserted(rf, a->body)) {
		secret_free(rf->links.media_image);
		rf->links.media_image = xstrdup(json_get_string(a->body, "Image"));
		str_replace(&rf->links.media, s->path);
		rf_task(rf)->result.media.url = TAKE_PTR(m->gone);
		rf_done(rf);
	} else if (++m->looks < LOOKS_MAX) {
		rf_after(rf, rf_driver_of(rf)->retry_pause, look_inserted);
	} else {
		snprintf(m->why, sizeof(m->why), "%.100s says that it worked, and is empty",
			 s->path);
		next_slot(rf);
	}
}

static void look_inserted(struct rf_bmc *rf)
{
	rf_get_optional(rf, slot_of(rf)->path, on_look_inserted);
}

static bool wants(const struct rf_answer *a, const char *property, bool *added)
{
	if (*added || !rf_mentions(a, property))
		return false;
	*added = true;
	return true;
}

/* What it has asked for is added; nothing is sent that it has not asked for, because others refuse
 * it. */
static bool repair(struct media *m, const struct rf_answer *a)
{
	bool missing = rf_says(a, "ActionParameterMissing") || rf_says(a, "PropertyMissing") ||
		       rf_says(a, "GeneralError");
	if (a->status < 400 || a->status >= 500 || !missing || ++m->posts >= POSTS_MAX)
		return false;
	bool protocol = wants(a, "TransferProtocolType", &m->protocol);
	bool method = wants(a, "TransferMethod", &m->method);
	bool login = wants(a, "UserName", &m->login) || wants(a, "Password", &m->login);
	return protocol || method || login;
}

static void on_insert(struct rf_bmc *rf, struct rf_answer *a)
{
	struct media *m = rf_state(rf);
	if (rf_is_success(a)) {
		m->looks = 0;
		look_inserted(rf);
	} else if (a->status == 401 || a->status == 403) {
		rf_fail_answer(rf, a);
	} else if (repair(m, a)) {
		insert(rf);
	} else if (a->status >= 500 && a->status != 501 && ++m->errors < ERROR_TRIES) {
		rf_after(rf, rf_driver_of(rf)->retry_pause, insert);
	} else {
		keep_reason(m, a);
		next_slot(rf);
	}
}

/* True, Inserted and WriteProtected go without saying, and Supermicro refuses them. */
static struct json *insert_body(const struct media *m, const struct bmc_media *want)
{
	struct json *body = json_new_object();
	bool tls = strncasecmp(want->url, "https:", 6) == 0;
	json_set_string(body, "Image", want->url);
	if (m->protocol)
		json_set_string(body, "TransferProtocolType", tls ? "HTTPS" : "HTTP");
	if (m->method)
		json_set_string(body, "TransferMethod", "Stream");
	if (want->username || m->login) {
		json_set_string(body, "UserName", str_or(want->username, "none"));
		json_set_string(body, "Password", str_or(want->password, "none"));
	}
	return body;
}

static struct json *patch_in(const struct media *m, const struct bmc_media *want)
{
	struct json *body = insert_body(m, want);
	json_set_bool(body, "Inserted", true);
	json_set_bool(body, "WriteProtected", true);
	return body;
}

static struct json *vmm_in(const struct bmc_media *want)
{
	struct json *body = json_new_object();
	json_set_string(body, "VmmControlType", "Connect");
	json_set_string(body, "Image", want->url);
	return body;
}

static void insert(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	const struct slot *s = slot_of(rf);
	const struct bmc_media *want = &rf_task(rf)->request.media;
	const char *action = rf_target(s->body, "#VirtualMedia.InsertMedia");
	const char *vmm = action ? NULL : vmm_of(rf, s->body);
	struct rf_request q = { .method = "POST", .any = true, .once = true, .whole = true };
	if (action) {
		q.path = action;
		q.body = insert_body(m, want);
	} else if (vmm) {
		q.path = vmm;
		q.body = vmm_in(want);
	} else if (is_patched(s)) {
		q.method = "PATCH";
		q.path = s->path;
		q.etag = s->etag;
		q.body = patch_in(m, want);
	} else {
		snprintf(m->why, sizeof(m->why), "%.100s takes no URL", s->path);
		next_slot(rf);
		return;
	}
	rf_ask(rf, &q, on_insert);
}

/* --- operations ------------------------------------------------------------------------------ */

static void all_ejected(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	if (rf_task(rf)->request.op == BMC_OP_INSERT_MEDIA) {
		begin_insert(rf);
		return;
	}
	rf_task(rf)->result.media.url = TAKE_PTR(m->gone);
	rf_done(rf);
}

static void slot_ejected(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	m->at++;
	eject_next(rf);
}

/* An eject that names no image is for whatever there is; one that does is for ours. */
static void eject_next(struct rf_bmc *rf)
{
	struct media *m = rf_state(rf);
	bool inserts = rf_task(rf)->request.op == BMC_OP_INSERT_MEDIA;
	m->ejected = slot_ejected;
	for (; m->at < m->count; m->at++) {
		struct slot *s = &m->slots[m->at];
		if (!s->inserted)
			continue;
		bool ours = is_ours(rf, m, s);
		if (!ours && inserts && !m->replace) {
			refuse_to_eject(rf, s);
			return;
		}
		if (!ours && !inserts && m->url && !m->replace)
			continue;
		if (!ours && !m->gone)
			m->gone = xstrdup(json_get_string(s->body, "Image"));
		eject(rf);
		return;
	}
	all_ejected(rf);
}

void rf_start_insert_media(struct bmc *bmc, struct bmc_task *task)
{
	if (!str_is_http_url(task->request.media.url)) {
		rf_fail(rf_begin(bmc), ERR_INVALID,
			"can insert images by http and https URLs only");
		return;
	}
	begin(bmc, &task->request.media, eject_next);
}

void rf_start_eject_media(struct bmc *bmc, struct bmc_task *task)
{
	begin(bmc, &task->request.media, eject_next);
}
