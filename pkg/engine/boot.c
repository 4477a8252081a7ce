/* The boot of the ramdisk that a record names: its beginning and end, what the boot services may
 * hand out because of it, and what they have seen of it. Core thread. */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

void node_no_boot(struct node *n)
{
	/* The ramdisk that may run is about to end, and its token with it. */
	str_replace(&n->record.boot.nonce, NULL);
	n->record.boot.number = 0;
	str_replace(&n->record.boot.purpose, NULL);
	str_replace(&n->record.boot.source_address, NULL);
	node_forget_old_uid(n);
	node_note_unheard(n);
	n->record.boot.token_issued = false;
	str_replace(&n->record.boot.method, NULL);
	n->medium.stale = false;
	node_note_medium(n);
	str_replace(&n->record.agent.url, NULL);
	str_replace(&n->record.agent.certificate, NULL);
	n->agent.rebooted = false;
}

/* The time in seconds, or more: so numbers rise for a host whose record was lost, too. */
static void number_boot(struct node *n)
{
	int64_t now = (int64_t)(node_wall(n) / USEC_PER_SEC);
	n->record.last_boot = MAX(n->record.last_boot + 1, now);
	n->record.boot.number = n->record.last_boot;
}

void node_new_boot(struct node *n)
{
	uint8_t random[16];
	char nonce[33];
	node_no_boot(n);
	loop_random(n->engine->options.loop, random, sizeof(random));
	hex_encode(random, sizeof(random), nonce);
	str_replace(&n->record.boot.nonce, nonce);
	number_boot(n);
	n->boot.stored = n->boot.sent = false;
	node_note_unheard(n);
	str_replace(&n->record.boot.purpose, op_info(n->op.kind)->name);
	n->record.boot.started_at = node_wall(n);
	n->boot.stage = NULL;
	node_forget_boot_trouble(n);
	n->boot.script_at = n->boot.ramdisk_at = n->boot.system_at = 0;
	n->boot.watched = true;
}

/* Is its ramdisk one that was booted to be inspected? */
bool node_inspects(const struct node *n)
{
	return streq(n->record.boot.purpose, op_info(OP_INSPECT)->name);
}

bool engine_boot_find(const struct engine *e, const struct net_mac *mac, struct engine_boot *ret)
{
	const struct node *n = engine_by_mac(e, mac);
	/* Inspection makes all NICs known, but a host has one address: its others meet silence. */
	if (!n || !node_boots_by(n, mac))
		return false;
	*ret = (struct engine_boot){ .key = n->key,
				     .ramdisk = n->record.boot.nonce != NULL && n->boot.stored &&
						!n->save.lost && !n->held,
				     .inspect = node_inspects(n),
				     .uefi = n->spec.boot_mode != BOOT_LEGACY,
				     .secure = n->spec.boot_mode == BOOT_UEFI_SECURE };
	return true;
}

/* --- what was seen of it ---------------------------------------------------------------------- */

/* A system that asks for an address while no script went out was not booted from the network. After
 * the script the first to ask is the ramdisk, which stock ones do twice in a row; who asks later is
 * a system that was started anew. */
void engine_boot_mark(struct engine *e, const struct net_mac *mac, enum engine_mark mark)
{
	struct node *n = engine_by_mac(e, mac);
	/* Of a boot that another process began the script may have gone out before. */
	if (!n || !n->record.boot.nonce || !n->boot.watched)
		return;
	usec_t now = node_now(n);
	bool ramdisk = n->boot.script_at &&
		       (!n->boot.ramdisk_at || now < n->boot.ramdisk_at + USEC_PER_MIN);
	switch (mark) {
	case ENGINE_MARK_SCRIPT:
		n->boot.script_at = now;
		n->boot.ramdisk_at = n->boot.system_at = 0;
		break;
	case ENGINE_MARK_SYSTEM:
		if (ramdisk)
			n->boot.ramdisk_at = n->boot.ramdisk_at ? n->boot.ramdisk_at : now;
		else
			n->boot.system_at = n->boot.system_at ? n->boot.system_at : now;
		n->op.not_before = n->boot.system_at ? 0 : n->op.not_before;
		op_advance(n);
		break;
	}
}

void engine_boot_seen(struct engine *e, const struct net_mac *mac, const char *stage)
{
	struct node *n = engine_by_mac(e, mac);
	if (!n)
		return;
	n->boot.stage = stage;
	n->boot.stage_at = node_wall(n);
}

void node_forget_boot_trouble(struct node *n)
{
	str_replace(&n->boot.trouble, NULL);
	str_replace(&n->boot.network_trouble, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(n->boot.told); i++)
		str_replace(&n->boot.told[i].text, NULL);
}

/* Is it a new trouble? Not one that was told and has been met again ever since, at least once a
 * minute; nor one for which there is no place, because so many others are. */
static bool is_news(struct node *n, const char *why)
{
	usec_t now = node_now(n);
	struct boot_told *place = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(n->boot.told); i++) {
		struct boot_told *t = &n->boot.told[i];
		bool past = !t->text || now >= t->until;
		if (streq(t->text, why)) {
			t->until = now + USEC_PER_MIN;
			return past;
		}
		place = past ? t : place;
	}
	if (!place)
		return false;
	str_replace(&place->text, why);
	place->until = now + USEC_PER_MIN;
	return true;
}

void engine_boot_failed(struct engine *e, const struct net_mac *mac, const char *address,
			const char *why)
{
	struct node *n = mac ? engine_by_mac(e, mac) : NULL;
	const struct step *step;
	if (!n)
		n = index_find(&e->slots, address, NULL);
	if (!n || !engine_may_act(e, n->key))
		return;
	if (n->save.lost || !n->record.boot.nonce)
		return;
	bool news = is_news(n, why), same = streq(n->boot.trouble, why);
	if (!same)
		str_replace(&n->boot.trouble, why);
	if (same || !news)
		return;
	node_event(n, true, "BootFileFailed", "the host cannot boot from the network: %s", why);
	step = op_step(n);
	if (!step || !step->boots_again || !n->op.entered)
		return;
	/* kubectl shows it in the HostRecord. */
	free(n->record.step.waits_for);
	n->record.step.waits_for = xasprintf("%s; %s", step_waits_for(n, step), why);
	node_save(n);
}

void engine_boot_stranger(struct engine *e, const struct net_mac *mac, const char *request)
{
	char text[NET_MAC_TEXT_SIZE];
	net_format_mac(mac, text);
	if (strangers_note(&e->strangers, text, request, loop_wall(e->options.loop)))
		log_warn("a machine asked for a network boot and belongs to no host", "mac", text,
			 "request", request, "hint",
			 "compare it with the boot MAC addresses of the hosts");
}

struct json *engine_strangers(const struct engine *e)
{
	return strangers_list(&e->strangers, loop_wall(e->options.loop));
}
