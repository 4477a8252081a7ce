/* TFTP packets, by RFC 1350, 2347, 2348, 2349 and 7440. A request is a list of NUL-terminated
 * strings: name, mode, then pairs of option and value, compared without regard to case. An option
 * given twice counts as given the first time (RFC 2347: at most once). Pure. */

#include "wire/tftp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cursor.h"
#include "base/str.h"

enum option { OPTION_BLKSIZE, OPTION_TSIZE, OPTION_TIMEOUT, OPTION_WINDOWSIZE };

/* Ranges as their documents give them; tsize is bounded by 16 decimal digits. */
static const struct {
	const char *name;
	uint64_t min, max;
} option_table[] = {
	[OPTION_BLKSIZE] = { "blksize", TFTP_BLOCK_MIN, TFTP_BLOCK_MAX },
	[OPTION_TSIZE] = { "tsize", 0, UINT64_C(9999999999999999) },
	[OPTION_TIMEOUT] = { "timeout", 1, 255 },
	[OPTION_WINDOWSIZE] = { "windowsize", 1, 65535 },
};

static const char *const mode_names[] = {
	[TFTP_OCTET] = "octet",
	[TFTP_NETASCII] = "netascii",
	[TFTP_MAIL] = "mail",
};

/* --- decoding --------------------------------------------------------------------------------- */

static void set_option(struct tftp_options *o, enum option which, uint64_t v)
{
	switch (which) {
	case OPTION_BLKSIZE:
		o->has_blksize = true;
		o->blksize = (uint16_t)v;
		break;
	case OPTION_TSIZE:
		o->has_tsize = true;
		o->tsize = v;
		break;
	case OPTION_TIMEOUT:
		o->has_timeout = true;
		o->timeout_s = (uint8_t)v;
		break;
	case OPTION_WINDOWSIZE:
		o->has_windowsize = true;
		o->windowsize = (uint16_t)v;
		break;
	}
}

static bool has_option(const struct tftp_options *o, enum option which)
{
	switch (which) {
	case OPTION_BLKSIZE:
		return o->has_blksize;
	case OPTION_TSIZE:
		return o->has_tsize;
	case OPTION_TIMEOUT:
		return o->has_timeout;
	case OPTION_WINDOWSIZE:
		return o->has_windowsize;
	}
	return false;
}

static void take_option(struct tftp_options *o, const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		uint64_t v;
		if (strcasecmp(name, option_table[i].name) != 0)
			continue;
		/* RFC 2347: an option that cannot be granted is left out of the answer, no error.
		 */
		if (!has_option(o, (enum option)i) &&
		    parse_u64(value, option_table[i].max, &v) == 0 && v >= option_table[i].min)
			set_option(o, (enum option)i, v);
		return;
	}
}

static int decode_options(struct cursor *c, struct tftp_options *o)
{
	/* Some loaders fill the packet up with NULs: a pair that begins with one ends the list. */
	while (cursor_left(c) > 0 && c->data[c->pos] != '\0') {
		const char *name = cursor_cstr(c);
		const char *value = cursor_cstr(c);
		if (!name || !value)
			return -EBADMSG;
		take_option(o, name, value);
	}
	return 0;
}

/* RFC 1350: upper, lower or mixed case. */
static enum tftp_mode parse_mode(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++)
		if (strcasecmp(text, mode_names[i]) == 0)
			return (enum tftp_mode)i;
	return TFTP_MODE_UNKNOWN;
}

int tftp_decode_request(const void *data, size_t len, struct tftp_request *ret)
{
	if (len > TFTP_REQUEST_MAX)
		return -EMSGSIZE;
	struct tftp_request r = { 0 };
	struct cursor c;
	cursor_init(&c, data, len);
	uint16_t op = cursor_be16(&c);
	const char *name = cursor_cstr(&c);
	const char *mode = cursor_cstr(&c);
	if (!cursor_ok(&c) || (op != TFTP_READ && op != TFTP_WRITE) || str_empty(name) ||
	    strlen(name) >= sizeof(r.name))
		return -EBADMSG;
	r.op = (enum tftp_op)op;
	r.mode = parse_mode(mode);
	memcpy(r.name, name, strlen(name) + 1);
	if (decode_options(&c, &r.options) < 0)
		return -EBADMSG;
	*ret = r;
	return 0;
}

/* Some clients leave out the NUL, or the whole text. */
static void read_error(struct cursor *c, struct tftp_packet *p)
{
	p->error = (enum tftp_error)cursor_be16(c);
	size_t len = MIN(cursor_left(c), sizeof(p->text) - 1);
	const uint8_t *text = cursor_bytes(c, len);
	for (size_t i = 0; text && i < len && text[i]; i++)
		p->text[i] = text[i] >= 0x20 && text[i] < 0x7f ? (char)text[i] : '?';
}

int tftp_decode(const void *data, size_t len, struct tftp_packet *ret)
{
	struct tftp_packet p = { 0 };
	struct cursor c;
	cursor_init(&c, data, len);
	uint16_t op = cursor_be16(&c);
	int r = 0;
	if (op < TFTP_READ || op > TFTP_OACK)
		return -EBADMSG;
	p.op = (enum tftp_op)op;
	switch (p.op) {
	case TFTP_DATA:
		p.block = cursor_be16(&c);
		p.len = cursor_left(&c);
		p.data = cursor_bytes(&c, p.len);
		break;
	case TFTP_ACK:
		p.block = cursor_be16(&c);
		break;
	case TFTP_ERROR:
		read_error(&c, &p);
		break;
	case TFTP_OACK:
		r = decode_options(&c, &p.options);
		break;
	case TFTP_READ:
	case TFTP_WRITE:
		return -EBADMSG;
	}
	if (r < 0 || !cursor_ok(&c))
		return -EBADMSG;
	*ret = p;
	return 0;
}

/* --- encoding --------------------------------------------------------------------------------- */

static void put_text(struct wcursor *w, const char *s)
{
	wcursor_bytes(w, s, strlen(s) + 1);
}

static void put_option(struct wcursor *w, bool present, enum option which, uint64_t v)
{
	char text[24];
	if (!present)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	put_text(w, option_table[which].name);
	put_text(w, text);
}

static void put_options(struct wcursor *w, const struct tftp_options *o)
{
	put_option(w, o->has_blksize, OPTION_BLKSIZE, o->blksize);
	put_option(w, o->has_tsize, OPTION_TSIZE, o->tsize);
	put_option(w, o->has_timeout, OPTION_TIMEOUT, o->timeout_s);
	put_option(w, o->has_windowsize, OPTION_WINDOWSIZE, o->windowsize);
}

/* Half a packet is none. */
static size_t written(const struct wcursor *w)
{
	return w->failed ? 0 : w->pos;
}

size_t tftp_encode_request(const struct tftp_request *r, void *out, size_t cap)
{
	struct wcursor w;
	wcursor_init(&w, out, cap);
	wcursor_be16(&w, (uint16_t)r->op);
	put_text(&w, r->name);
	put_text(&w, r->mode == TFTP_MODE_UNKNOWN ? "unknown" : mode_names[r->mode]);
	put_options(&w, &r->options);
	return written(&w);
}

size_t tftp_encode_data(uint16_t block, const void *data, size_t len, void *out, size_t cap)
{
	struct wcursor w;
	wcursor_init(&w, out, cap);
	wcursor_be16(&w, TFTP_DATA);
	wcursor_be16(&w, block);
	wcursor_bytes(&w, data, len);
	return written(&w);
}

size_t tftp_encode_ack(uint16_t block, void *out, size_t cap)
{
	struct wcursor w;
	wcursor_init(&w, out, cap);
	wcursor_be16(&w, TFTP_ACK);
	wcursor_be16(&w, block);
	return written(&w);
}

size_t tftp_encode_oack(const struct tftp_options *o, void *out, size_t cap)
{
	struct wcursor w;
	wcursor_init(&w, out, cap);
	wcursor_be16(&w, TFTP_OACK);
	put_options(&w, o);
	return written(&w);
}

size_t tftp_encode_error(enum tftp_error error, const char *text, void *out, size_t cap)
{
	struct wcursor w;
	wcursor_init(&w, out, cap);
	wcursor_be16(&w, TFTP_ERROR);
	wcursor_be16(&w, (uint16_t)error);
	put_text(&w, text);
	return written(&w);
}
