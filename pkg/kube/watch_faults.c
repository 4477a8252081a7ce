/* The watcher's error table. Pure. */

#include "kube/watch_faults.h"

static const struct watch_fault_info infos[_FAULT_MAX] = {
	[FAULT_GONE] = { "gone", NEXT_LIST_FRESH, DELAY_NONE, false, NULL },
	[FAULT_TOO_LARGE] = { "too-large-version", NEXT_LIST_FRESH, DELAY_SERVER, false, NULL },
	[FAULT_BUSY] = { "busy", NEXT_SAME, DELAY_SERVER, true, NULL },
	[FAULT_UNREACHABLE] = { "unreachable", NEXT_SAME, DELAY_BACKOFF, true, NULL },
	[FAULT_INTERNAL] = { "internal", NEXT_SAME, DELAY_BACKOFF, true, NULL },
	[FAULT_EVENT] = { "error-event", NEXT_LIST, DELAY_BACKOFF, true, NULL },
	[FAULT_UNAUTHORIZED] = { "unauthorized", NEXT_SAME, DELAY_BACKOFF, true, NULL },
	[FAULT_FORBIDDEN] = { "forbidden", NEXT_SAME, DELAY_MAX, true,
			      "this account needs the verbs list and watch" },
	/* A server that has just started serves custom kinds a little later: the position stays
	 * good, and if the kind was made anew the server says "gone". */
	[FAULT_NO_KIND] = { "no-such-kind", NEXT_SAME, DELAY_BACKOFF, true,
			    "is the CustomResourceDefinition installed?" },
	[FAULT_REFUSED] = { "refused", NEXT_LIST, DELAY_BACKOFF, true, NULL },
	[FAULT_GARBAGE] = { "garbage", NEXT_SAME, DELAY_BACKOFF, true, NULL },
	[FAULT_SHORT] = { "short", NEXT_SAME, DELAY_BACKOFF, false, NULL },
	[FAULT_SILENT] = { "silent", NEXT_SAME, DELAY_NONE, false, NULL },
	[FAULT_NO_STREAM] = { "no-streamed-list", NEXT_LIST, DELAY_NONE, false, NULL },
};

const struct watch_fault_info *watch_fault_info(enum watch_fault fault)
{
	return &infos[fault];
}

static const struct {
	int code;
	enum watch_fault fault;
} codes[] = {
	{ 401, FAULT_UNAUTHORIZED }, { 403, FAULT_FORBIDDEN },	 { 404, FAULT_NO_KIND },
	{ 408, FAULT_UNREACHABLE },  { 410, FAULT_GONE },	 { 429, FAULT_BUSY },
	{ 500, FAULT_UNREACHABLE },  { 502, FAULT_UNREACHABLE }, { 503, FAULT_BUSY },
	{ 504, FAULT_UNREACHABLE },
};

enum watch_fault watch_fault_of(const struct kube_status *status, bool event)
{
	if (!status)
		return FAULT_UNREACHABLE;
	if (status->kind == ERR_GONE)
		return FAULT_GONE;
	if (status->too_large)
		return FAULT_TOO_LARGE;
	if (event)
		return status->internal ? FAULT_INTERNAL : FAULT_EVENT;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == status->code)
			return codes[i].fault;
	return FAULT_REFUSED;
}
