/* The image that a host is deployed with. Its addresses may hold a password or a signature, which
 * the record must not: it keeps them without userinfo and query, and where that leaves something
 * out a keyed digest of the whole, by which the same image is recognised after a restart. What the
 * agent is told comes from the latest call. Core thread. */

#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/redact.h"
#include "crypt/crypt.h"

enum { KEY_ID_LEN = 16, IDENTITY_LEN = KEY_ID_LEN + 1 + 64 };

static void keyed_hex(const struct node *n, const struct strbuf *text, size_t bytes, char *out)
{
	uint8_t mac[32];
	hmac_sha256(n->engine->options.secret, n->engine->options.secret_len, text->data, text->len,
		    mac);
	for (size_t i = 0; i < bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

/* "KEY:DIGEST", both made with the installation's key, so that nobody who reads the record can try
 * passwords against it. KEY says whose key that was: hosts move between installations. */
static void image_identity(const struct node *n, const char *url, const char *checksum,
			   char out[IDENTITY_LEN + 1])
{
	_cleanup_(strbuf_done) struct strbuf key = { 0 }, image = { 0 };
	strbuf_adds(&key, "image-identity");
	strbuf_adds(&image, "image\n");
	strbuf_add(&image, url, strlen(url) + 1);
	strbuf_adds(&image, checksum);
	keyed_hex(n, &key, KEY_ID_LEN / 2, out);
	out[KEY_ID_LEN] = ':';
	keyed_hex(n, &image, 32, out + KEY_ID_LEN + 1);
	secret_zero(image.data, image.len);
}

/* Stores what may be stored of the image. */
static void record_image(struct node *n, const char *url, const char *checksum)
{
	struct node_record *r = &n->record;
	char identity[IDENTITY_LEN + 1] = "";
	_cleanup_(freep) char *shown_url = redact_url(url), *shown_sum = redact_url(checksum);
	if (!streq(shown_url, url) || !streq(shown_sum, checksum))
		image_identity(n, url, checksum, identity);
	str_replace(&r->image.url, shown_url);
	str_replace(&r->image.checksum, shown_sum);
	str_replace(&r->image.identity, *identity ? identity : NULL);
}

/* A digest by another key says nothing; then the address has to do: an image that runs is not
 * written again because the host has moved. */
bool node_same_image(const struct node *n, const struct prov_image *image)
{
	const struct node_record *r = &n->record;
	const char *url = str_or(image->url, ""), *checksum = str_or(image->checksum, "");
	_cleanup_(freep) char *shown_url = redact_url(url), *shown_sum = redact_url(checksum);
	char identity[IDENTITY_LEN + 1];
	if (!r->image.identity)
		return streq(str_or(r->image.url, ""), url) &&
		       streq(str_or(r->image.checksum, ""), checksum);
	if (!streq(r->image.url, shown_url) || !streq(str_or(r->image.checksum, ""), shown_sum))
		return false;
	image_identity(n, url, checksum, identity);
	return strncmp(r->image.identity, identity, KEY_ID_LEN + 1) != 0 ||
	       streq(r->image.identity, identity);
}

void node_know_image(struct node *n, const struct prov_image *image)
{
	const char *url = str_or(image->url, ""), *checksum = str_or(image->checksum, "");
	_cleanup_(freep) char *before = xstrdup(str_or(n->record.image.identity, ""));
	str_replace(&n->spec.image_url, url);
	str_replace(&n->spec.image_checksum, checksum);
	record_image(n, url, checksum);
	if (!streq(before, str_or(n->record.image.identity, "")))
		node_save(n);
}

void node_take_image(struct node *n, const struct prov_image *image)
{
	struct node_record *r = &n->record;
	str_replace(&n->spec.image_url, str_or(image->url, ""));
	str_replace(&n->spec.image_checksum, str_or(image->checksum, ""));
	record_image(n, n->spec.image_url, n->spec.image_checksum);
	str_replace(&r->image.checksum_type, image->checksum_type);
	str_replace(&r->image.format, image->format);
	r->image.written_at = 0;
}

void node_forget_image(struct node *n)
{
	n->spec.image_url = secret_free(n->spec.image_url);
	n->spec.image_checksum = secret_free(n->spec.image_checksum);
}

bool node_mask_image(struct node *n)
{
	struct node_record *r = &n->record;
	_cleanup_(secret_freep) char *url = xstrdup(str_or(r->image.url, ""));
	_cleanup_(secret_freep) char *checksum = xstrdup(str_or(r->image.checksum, ""));
	_cleanup_(freep) char *error = redact_urls(str_or(r->node.last_error, ""));
	bool changed = !streq(error, str_or(r->node.last_error, ""));
	if (changed)
		str_replace(&r->node.last_error, error);
	if (r->image.identity || !r->image.url)
		return changed;
	record_image(n, url, checksum);
	return changed || r->image.identity;
}
