/* The page of `ingotctl describe`: what is wanted, what is, what runs, what it waits for and until
 * when, what went wrong, what to do. Lines whose facts are not known are left out. Pure. */

#include <string.h>

#include "base/mem.h"
#include "base/redact.h"
#include "hostview/internal.h"

static const char *text_at(const struct json *j, const char *path)
{
	const char *text = json_get_path_string(j, path);
	return str_empty(text) ? NULL : text;
}

static void label(const char *name, struct strbuf *out)
{
	strbuf_addf(out, "%-14s", name);
}

/* "13:04:05 (2m ago)", from an RFC 3339 text, or from a time. */
static void add_moment(usec_t at, usec_t now, struct strbuf *out)
{
	char text[CLOCK_TEXT_MAX];
	strbuf_adds(out, clock_format(at, text));
	if (at > now) {
		strbuf_adds(out, " (in ");
		render_age(at - now, out);
		strbuf_addc(out, ')');
	} else {
		strbuf_adds(out, " (");
		render_age(now - at, out);
		strbuf_adds(out, " ago)");
	}
}

static void add_moment_at(const struct json *j, const char *path, const char *before, usec_t now,
			  struct strbuf *out)
{
	usec_t at;
	const char *text = text_at(j, path);
	if (!text || clock_parse(text, &at) < 0)
		return;
	strbuf_adds(out, before);
	add_moment(at, now, out);
}

static void add_url(const char *url, struct strbuf *out)
{
	_cleanup_(freep) char *shown = redact_urls(url);
	strbuf_adds(out, shown);
}

/* --- spec and status -------------------------------------------------------------------------- */

static void add_head(const struct view *v, struct strbuf *out)
{
	const struct json *h = v->sources.host;
	label("Host", out);
	strbuf_addf(out, "%s/%s", v->ns, v->name);
	add_moment_at(h, "metadata.deletionTimestamp", ", being deleted since ", v->sources.now,
		      out);
	strbuf_addc(out, '\n');
	label("State", out);
	strbuf_addf(out, "%s", v->state);
	const char *operational = text_at(h, "status.operationalStatus");
	if (operational)
		strbuf_addf(out, ", operational status %s", operational);
	strbuf_addc(out, '\n');
	label("Power", out);
	/* The status has no word for "unknown". */
	const char *power = text_at(v->sources.debug, "bmc.power");
	if (!power)
		power = json_get_bool(json_get(h, "status"), "poweredOn", false) ? "on" : "off";
	bool wanted = json_get_bool(json_get(h, "spec"), "online", false);
	strbuf_addf(out, "%s, wanted %s\n", power, wanted ? "on" : "off");
}

static void add_images(const struct view *v, struct strbuf *out)
{
	const struct json *h = v->sources.host;
	const char *wanted = text_at(h, "spec.image.url");
	const char *is = text_at(h, "status.provisioning.image.url");
	label("Image wanted", out);
	add_url(str_or(wanted, "none"), out);
	strbuf_addc(out, '\n');
	label("Image there", out);
	add_url(str_or(is, "none"), out);
	/* It is named from the moment it is asked for. */
	if (is && streq(v->state, "provisioning"))
		strbuf_adds(out, " (being provisioned)");
	strbuf_addc(out, '\n');
}

/* --- BMC, boot, agent ------------------------------------------------------------------------- */

static void add_bmc(const struct view *v, struct strbuf *out)
{
	const struct json *h = v->sources.host, *d = json_get(v->sources.debug, "bmc");
	int64_t failures = json_get_int(d, "failures", 0);
	label("BMC", out);
	add_url(str_or(text_at(h, "spec.bmc.address"), "none"), out);
	strbuf_addf(out, ", Secret %s", str_or(text_at(h, "spec.bmc.credentialsName"), "none"));
	if (d && failures == 0 && json_get_bool(d, "verified", false))
		strbuf_adds(out, ", answers");
	if (failures > 0)
		strbuf_addf(out, ", %lld failed requests in a row", (long long)failures);
	add_moment_at(d, "leftAloneUntil", ", left alone until ", v->sources.now, out);
	strbuf_addc(out, '\n');
	if (text_at(d, "lastError"))
		strbuf_addf(out, "%-14slast error: %s\n", "", text_at(d, "lastError"));
}

static void add_boot(const struct view *v, struct strbuf *out)
{
	const struct json *d = json_get(v->sources.debug, "boot");
	const char *address = text_at(d, "address");
	if (!address)
		address = text_at(v->sources.record, "spec.dhcp.address");
	label("Boot", out);
	strbuf_addf(out, "MAC %s",
		    str_or(text_at(v->sources.host, "spec.bootMACAddress"), "unknown"));
	if (address)
		strbuf_addf(out, ", address %s", address);
	if (text_at(d, "purpose"))
		strbuf_addf(out, ", ramdisk for: %s", text_at(d, "purpose"));
	strbuf_addc(out, '\n');
	if (!text_at(d, "stage"))
		return;
	strbuf_addf(out, "%-14slast seen: %s ", "", text_at(d, "stage"));
	add_moment_at(d, "stageAt", "", v->sources.now, out);
	strbuf_addc(out, '\n');
}

static void add_agent(const struct view *v, struct strbuf *out)
{
	const struct json *agent = json_get(v->sources.debug, "agent");
	if (!v->sources.debug)
		agent = json_get_path(v->sources.record, "spec.agent");
	if (!text_at(agent, "url"))
		return;
	label("Agent", out);
	add_url(text_at(agent, "url"), out);
	add_moment_at(agent, "lastHeartbeat", ", last heartbeat ", v->sources.now, out);
	strbuf_addc(out, '\n');
}

/* --- now -------------------------------------------------------------------------------------- */

static void add_amounts(const struct view_progress *p, struct strbuf *out)
{
	render_bytes(p->done, out);
	if (p->total > 0) {
		strbuf_adds(out, " of ");
		render_bytes(p->total, out);
	}
	if (p->rate > 0) {
		strbuf_adds(out, ", ");
		render_bytes(p->rate, out);
		strbuf_adds(out, "/s");
	}
	if (p->left > 0) {
		strbuf_adds(out, ", ");
		render_age((usec_t)p->left * USEC_PER_SEC, out);
		strbuf_adds(out, " left");
	}
}

static void add_now(const struct view *v, struct strbuf *out)
{
	static const char *const moods[] = { [VIEW_RESTS] = "rests",
					     [VIEW_WORKS] = "at work",
					     [VIEW_HELD] = "held",
					     [VIEW_FAILED] = "failed" };
	strbuf_addf(out, "\nNow: %s\n", moods[v->mood]);
	if (v->step) {
		bool alone = streq(v->operation, v->step);
		strbuf_addf(out, "  %s%s%s, attempt %lld\n", alone ? "" : str_or(v->operation, "?"),
			    alone ? "" : ": ", v->step, (long long)v->attempt);
	}
	if (v->waits_for)
		strbuf_addf(out, "  waits for %s\n", v->waits_for);
	if (v->hold)
		strbuf_addf(out, "  because %s\n", v->hold);
	if (v->since) {
		strbuf_adds(out, "  since ");
		add_moment(v->since, v->sources.now, out);
		strbuf_addc(out, '\n');
	}
	if (v->until) {
		strbuf_adds(out, v->mood == VIEW_FAILED ? "  next try " : "  deadline ");
		add_moment(v->until, v->sources.now, out);
		strbuf_addc(out, '\n');
	}
	if (v->progress.known) {
		strbuf_adds(out, "  ");
		if (v->progress.percent >= 0) {
			render_bar(v->progress.percent, out);
			strbuf_adds(out, "  ");
		}
		add_amounts(&v->progress, out);
		strbuf_addc(out, '\n');
	}
	if (v->trouble)
		strbuf_addf(out, "  trouble: %s\n", v->trouble);
}

static void add_errors(const struct view *v, struct strbuf *out)
{
	if (!v->error)
		return;
	strbuf_addf(out, "\nLast error: %s", str_or(v->error_type, "error"));
	if (v->error_count > 1)
		strbuf_addf(out, ", %lld times in a row", (long long)v->error_count);
	strbuf_addf(out, "\n  %s\n", v->error);
}

static void add_step(const struct json *e, struct strbuf *out)
{
	usec_t at, ended;
	const char *begun = text_at(e, "at"), *end = text_at(e, "ended");
	strbuf_addf(out, "%s: %s, %s", str_or(text_at(e, "operation"), "?"),
		    str_or(text_at(e, "step"), "?"), str_or(text_at(e, "outcome"), "?"));
	if (!begun || !end || clock_parse(begun, &at) < 0 || clock_parse(end, &ended) < 0)
		return;
	strbuf_adds(out, " after ");
	render_age(ended > at ? ended - at : 0, out);
}

/* Of this process only, so it may be empty for a host that has been there for long. */
static void add_history(const struct view *v, struct strbuf *out)
{
	const struct json *history = json_get(v->sources.debug, "history");
	if (!history)
		return;
	strbuf_adds(out, "\nHistory (since Ingot was started, oldest first)\n");
	json_for_each(e, history) {
		const char *to = text_at(e, "to"), *reason = text_at(e, "reason"),
			   *error = text_at(e, "error");
		strbuf_addf(out, "  %s  ", str_or(text_at(e, "at"), "?"));
		if (to)
			strbuf_addf(out, "%s -> %s", str_or(text_at(e, "from"), "new"), to);
		else if (text_at(e, "step"))
			add_step(e, out);
		else
			strbuf_addf(out, "error while %s", str_or(text_at(e, "state"), "new"));
		if (reason || error)
			strbuf_addf(out, ": %s", reason ? reason : error);
		strbuf_addc(out, '\n');
	}
}

void render_page(const struct view *v, struct strbuf *out)
{
	add_head(v, out);
	add_images(v, out);
	add_bmc(v, out);
	add_boot(v, out);
	add_agent(v, out);
	add_now(v, out);
	add_errors(v, out);
	strbuf_addf(out, "\nTo do: %s\n", v->advice);
	add_history(v, out);
	if (!v->sources.debug)
		strbuf_adds(out, "\n(from the Kubernetes API alone: progress is up to 30 s old; "
				 "see --debug)\n");
}
