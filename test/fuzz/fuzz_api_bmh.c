/* BareMetalHosts as any API server may hold them, into structs and back: a status that was written
 * must be read again as the same. */

#include <stdlib.h>
#include <string.h>

#include "api/bmh.h"
#include "api/secret.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static char *status_of(const struct bmh *h)
{
	_cleanup_(json_freep) struct json *status = bmh_status_json(&h->status);
	return json_to_string(status);
}

static void again(const struct bmh *h)
{
	_cleanup_(freep) char *text = status_of(h);
	_cleanup_(json_freep) struct json *j = json_new_object();
	struct bmh other;
	json_set(j, "status", bmh_status_json(&h->status));
	require(bmh_parse(j, &other, NULL) == 0);
	_cleanup_(freep) char *same = status_of(&other);
	require(streq(text, same));
	bmh_release(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(json_freep) struct json *j = NULL;
	struct bmh h;
	if (json_parse((const char *)data, size, &j, NULL) < 0)
		return 0;
	secret_free(secret_value(j, "a"));
	if (bmh_parse(j, &h, NULL) < 0)
		return 0;
	api_has_finalizer(&h.meta, "f");
	api_owned_by(&h.meta, "u");
	require(bmh_state_name((enum bmh_state)h.status.provisioning.state) != NULL);
	require(bmh_image_equal(h.spec.image, h.spec.image));
	again(&h);
	bmh_release(&h);
	return 0;
}
