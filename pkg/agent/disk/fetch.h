#pragma once
/* Downloads of images with resumption: pkg/http on an event loop of its own, driven by calls that
 * block until done. One thread at a time per object, except where "any thread" is said.
 *
 * Several URLs are the same file in several places: a failure goes on with the next one, by Range
 * from the byte reached, and with If-Range where this server's own validator is known: that of the
 * server that answered, behind redirects. A server that ignores Range sends all again, and what is
 * there is dropped; one that ignores it only for If-Range is asked without. One that refuses for
 * good (404, a certificate that is not trusted, another size) is not asked again in that transfer;
 * the transfer ends when all have, or after `retries`. Where a server has another file than before,
 * the transfer ends with ERR_CONFLICT: begin anew with `any_validator`, and let the checksum
 * decide. */

#include <stdatomic.h>
#include <stdbool.h>

#include "agent/disk/ring.h"
#include "base/clock.h"
#include "http/http.h"

enum { DISK_FETCH_URLS_MAX = 64 };

struct disk_fetch;

/* Borrowed until the fetch is closed. A zero time means the default that is named beside it. */
struct disk_fetch_options {
	const char *const *urls;   /* NULL-ended, DISK_FETCH_URLS_MAX at most */
	const char *authorization; /* complete value of the header; may be NULL */
	const char *username, *password;
	const char *proxy, *no_proxy; /* as in http_request */
	const struct http_tls *tls;   /* NULL: the system's roots */
	usec_t connect_timeout; /* also: no byte for so long. 60 s; several URLs: 10 s at most */
	usec_t retry_interval;	/* 10 s */
	usec_t max_duration;	/* of a stream; 0: none */
	unsigned retries;	/* in a row without progress */
	bool any_validator;	/* mirrors and load balancers differ: ETags do not count */
	/* After each failed attempt that is not the last, and with NULL when bytes come again. On
	 * the thread that fetches. May be NULL. */
	void (*trouble)(void *data, unsigned attempt, unsigned attempts, const struct err *err);
	void *trouble_data;
};

struct disk_fetch_info {
	int64_t size; /* -1: unknown */
	bool ranges;  /* a Range request was honoured */
};

int disk_fetch_open(const struct disk_fetch_options *options, struct disk_fetch **ret,
		    struct err *err);
struct disk_fetch *disk_fetch_close(struct disk_fetch *f);
void disk_fetch_closep(struct disk_fetch **f);
/* What the last answer said. */
struct disk_fetch_info disk_fetch_info(const struct disk_fetch *f);

/* Up to len bytes at offset; fewer at the end of the file. Without Range only offset 0 works; else
 * ERR_UNSUPPORTED. */
int disk_fetch_range(struct disk_fetch *f, uint64_t offset, void *buf, size_t len, size_t *ret_len,
		     struct err *err);
/* A whole small file, another than the image, with the same credentials. New string. */
int disk_fetch_text(struct disk_fetch *f, const char *url, size_t max, char **ret, size_t *ret_len,
		    struct err *err);
/* The whole file into the ring, which is ended in every case. `received` may be NULL. */
int disk_fetch_stream(struct disk_fetch *f, struct disk_ring *ring, _Atomic uint64_t *received,
		      struct err *err);
/* For the ring's `space` callback. any thread */
void disk_fetch_space(void *fetch);
/* Ends what is under way with ERR_CANCELLED. any thread */
void disk_fetch_abort(struct disk_fetch *f);
