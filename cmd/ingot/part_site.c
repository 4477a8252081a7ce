/* The parts of an installation: its Secret with key and CA, and the webhooks that judge its
 * objects. Both are there in standbys, too. The start has one step that waits for the API: the
 * Secret is read, or made. All else follows from it. */

#include "base/log.h"
#include "runtime_parts.h"

/* The agents' CA is ten years old before this matters; a clock that was wrong when it was made
 * makes it matter at once. */
static void look_at_validity(void *data)
{
	struct runtime *rt = data;
	validity_look(&rt->site.ca_seen, rt->site.installation.ca.cert, loop_wall(rt->loop));
	timer_set_in(&rt->site.validity, VALIDITY_LOOK);
}

/* An error here is a Secret that is damaged: a person must look, so the process ends. A Secret that
 * cannot be read yet is tried again inside. */
static void on_installation(void *data, const struct err *err)
{
	struct runtime *rt = data;
	rt->site.search = NULL;
	if (err) {
		runtime_give_up(rt, err);
		return;
	}
	rt->site.found = true;
	look_at_validity(rt);
	runtime_found_site(rt);
}

static int search(void *data, struct err *err)
{
	struct runtime *rt = data;
	struct site_part *s = &rt->site;
	(void)err;
	s->ca_seen = (struct validity){ "agents-ca",
					"start Ingot again when it has ended, while no machine "
					"runs a ramdisk: a new CA is made then",
					0, 0 };
	timer_init(&s->validity, rt->loop, "validity", look_at_validity, rt);
	s->search = site_installation_find(rt->loop, rt->api.client, rt->options->namespace_own,
					   &s->installation, on_installation, rt);
	return 0;
}

static void silence(void *data)
{
	struct runtime *rt = data;
	rt->site.search = site_installation_cancel(rt->site.search);
	timer_stop(&rt->site.validity);
}

static void free_site(void *data)
{
	struct runtime *rt = data;
	site_installation_release(&rt->site.installation);
}

const struct service site_service = { .name = "site",
				      .needs = { "api" },
				      .phases[SERVICE_STAND_BY] = search,
				      .silence = silence,
				      .free = free_site };

/* --- webhooks --------------------------------------------------------------------------------- */

/* Before the Lease: every instance behind the Service answers, and answering needs no state. */
static int start_webhooks(void *data, struct err *err)
{
	struct runtime *rt = data;
	(void)err;
	rt->webhooks = webhooks_start(rt->api.client, &rt->options->webhook,
				      rt->options->namespace_own, rt->options->namespace_watched);
	return 0;
}

static int lead_webhooks(void *data, struct err *err)
{
	const struct runtime *rt = data;
	(void)err;
	webhooks_lead(rt->webhooks);
	return 0;
}

/* Not before the last write of ours has been judged: with failurePolicy Fail the API server would
 * refuse it if no instance answered. */
static void drain_webhooks(void *data, service_done_fn done, void *done_data)
{
	const struct runtime *rt = data;
	webhooks_close(rt->webhooks);
	done(done_data);
}

static void free_webhooks(void *data)
{
	struct runtime *rt = data;
	rt->webhooks = webhooks_free(rt->webhooks);
}

const struct service webhook_service = { .name = "webhooks",
					 .roles = ROLE_WEBHOOKS,
					 .needs = { "api", "election" },
					 .phases[SERVICE_STAND_BY] = start_webhooks,
					 .phases[SERVICE_LEAD] = lead_webhooks,
					 .drain = drain_webhooks,
					 .free = free_webhooks };
