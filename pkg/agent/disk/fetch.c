/* The download: one transfer at a time, described by where its bytes go (a buffer, or the ring) and
 * how far it is. An attempt is one HTTP operation; between attempts stands a timer. The loop is
 * this object's own and runs inside the blocking calls, on the thread of the caller. When the ring
 * is full the operation is paused; its reader's thread posts the news of free space. */

#include "agent/disk/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/disk/format.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	DEFAULT_TIMEOUT_S = 60,
	DEFAULT_INTERVAL_S = 10,
	FAILOVER_S = 10, /* without a byte, where there is another place to read from */
	REDIRECTS = 10,
	/* So much in one attempt makes the count of failures start anew. */
	PROGRESS_BYTES = 1024 * 1024,
};

struct transfer {
	uint64_t start, want;	/* of a range; want UINT64_MAX: to the end */
	uint64_t done;		/* bytes delivered since start */
	uint64_t skip;		/* bytes of this answer to drop: the server sent from the start */
	uint8_t *buffer;	/* a range goes here … */
	struct disk_ring *ring; /* … a stream there */
	struct strbuf held;	/* what the full ring did not take */
	_Atomic uint64_t *received;
	unsigned failures; /* in a row */
	bool troubled;	   /* told, and not yet taken back */
	bool pinned;	   /* this attempt has sent If-Range … */
	bool unpinned;	   /* … and none does any more */
	bool again;	   /* the attempt was ended to be made otherwise */
	bool changed;	   /* a server has another file than before */
	uint64_t done_at_failure;
	bool complete, over;
	struct err error; /* of the attempt (set before the operation is aborted), then the last */
	bool fatal;	  /* repeating cannot help … */
	uint64_t refused; /* … at these URLs, a bit for each */
};

struct disk_fetch {
	struct disk_fetch_options options;
	struct loop *loop;
	struct http_client *client;
	struct http_op *op;
	struct timer retry, deadline, rest;
	size_t url; /* index of the one in use */
	struct disk_fetch_info info;
	char *etag;	 /* of the last answer */
	char *etag_from; /* … by this server: "https://host:port" */
	struct transfer t;
	struct strbuf text;
	_Atomic bool aborted;
};

static void attempt(void *data);

/* --- life ------------------------------------------------------------------------------------ */

static void stop_loop(void *data)
{
	loop_stop(data);
}

/* Ends the blocking call. Posted: a loop that is stopped inside a timer while another one is due
 * would not come to an end. */
static void over(struct disk_fetch *f)
{
	f->t.over = true;
	loop_post(f->loop, stop_loop, f->loop);
}

static void on_deadline(void *data)
{
	struct disk_fetch *f = data;
	err_set(&f->t.error, ERR_TIMEOUT, "the download took longer than %llu s",
		(unsigned long long)(f->options.max_duration / USEC_PER_SEC));
	over(f);
}

static void on_rest(void *data)
{
	over(data);
}

static size_t count_urls(const struct disk_fetch_options *o)
{
	size_t n = 0;
	while (o->urls[n])
		n++;
	return n;
}

/* How long an attempt waits for the connection, and then for each next byte. */
static usec_t patience(const struct disk_fetch *f)
{
	usec_t given = f->options.connect_timeout;
	return f->options.urls[1] ? MIN(given, FAILOVER_S * USEC_PER_SEC) : given;
}

int disk_fetch_open(const struct disk_fetch_options *options, struct disk_fetch **ret,
		    struct err *err)
{
	for (const char *const *url = options->urls; *url; url++) {
		int r = disk_url_check(*url, err);
		if (r < 0)
			return r;
	}
	if (!options->urls[0])
		return err_set(err, ERR_INVALID, "the image has no URL");
	if (count_urls(options) > DISK_FETCH_URLS_MAX)
		return err_set(err, ERR_INVALID, "the image has more than %d URLs",
			       DISK_FETCH_URLS_MAX);
	_cleanup_(disk_fetch_closep) struct disk_fetch *f = xcalloc(1, sizeof(*f));
	f->options = *options;
	f->info.size = -1;
	if (!f->options.connect_timeout)
		f->options.connect_timeout = DEFAULT_TIMEOUT_S * USEC_PER_SEC;
	if (!f->options.retry_interval)
		f->options.retry_interval = DEFAULT_INTERVAL_S * USEC_PER_SEC;
	int r = loop_new(&f->loop, err);
	if (r < 0)
		return r;
	timer_init(&f->retry, f->loop, "image retry", attempt, f);
	timer_init(&f->deadline, f->loop, "image deadline", on_deadline, f);
	timer_init(&f->rest, f->loop, "checksum file", on_rest, f);
	const struct http_client_options client = {
		.user_agent = "ingot-agent",
	};
	r = http_client_new(f->loop, &client, &f->client, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(f);
	return 0;
}

struct disk_fetch *disk_fetch_close(struct disk_fetch *f)
{
	if (!f)
		return NULL;
	f->op = http_cancel(f->op);
	if (f->client)
		http_client_free(f->client);
	if (f->loop) {
		timer_stop(&f->retry);
		timer_stop(&f->deadline);
		timer_stop(&f->rest);
		loop_free(f->loop);
	}
	strbuf_done(&f->t.held);
	strbuf_done(&f->text);
	free(f->etag);
	free(f->etag_from);
	free(f);
	return NULL;
}

void disk_fetch_closep(struct disk_fetch **f)
{
	*f = disk_fetch_close(*f);
}

struct disk_fetch_info disk_fetch_info(const struct disk_fetch *f)
{
	return f->info;
}

/* --- one answer ------------------------------------------------------------------------------ */

static int refuse(struct disk_fetch *f, bool fatal)
{
	f->t.fatal = fatal;
	return -1;
}

/* "bytes 5-9/100" */
static bool parse_content_range(const char *text, uint64_t *ret_start, int64_t *ret_total)
{
	unsigned long long first, last, total;
	if (sscanf(text, "bytes %llu-%llu/%llu", &first, &last, &total) == 3) {
		*ret_total = (int64_t)MIN(total, (unsigned long long)INT64_MAX);
	} else if (sscanf(text, "bytes %llu-%llu/*", &first, &last) == 2) {
		*ret_total = -1;
	} else {
		return false;
	}
	*ret_start = first;
	return first <= last;
}

/* Scheme, host and port. New string. */
static char *origin_of(const char *url)
{
	_cleanup_(freep) char *shown = disk_url_shown(url), *plain = str_plain_url(shown);
	const char *host = strstr(plain, "://");
	size_t len = host ? (size_t)(host + 3 - plain) + strcspn(host + 3, "/") : strlen(plain);
	return xstrndup(plain, len);
}

static int changed(struct disk_fetch *f)
{
	f->t.changed = true;
	return refuse(f, true);
}

/* The same file as before? A validator belongs to the server that answered; what another one calls
 * the file does not count, nor what stands before the first byte of a transfer: the checksum will
 * tell. */
static int check_identity(struct disk_fetch *f, const struct http_response *r, int64_t size)
{
	_cleanup_(freep) char *from = origin_of(r->url);
	bool joins = f->t.done > 0 && !f->options.any_validator;
	bool both = !str_empty(f->etag) && !str_empty(r->etag);
	if (joins && both && streq(f->etag_from, from) && !streq(f->etag, r->etag)) {
		err_set(&f->t.error, ERR_CONFLICT,
			"the image changed on the server while it was read");
		return changed(f);
	}
	if (f->info.size >= 0 && size >= 0 && f->info.size != size) {
		err_set(&f->t.error, ERR_CONFLICT,
			"the image had %lld bytes and has %lld now: it changed on the server",
			(long long)f->info.size, (long long)size);
		return changed(f);
	}
	if (size >= 0)
		f->info.size = size;
	str_replace(&f->etag, r->etag);
	str_replace(&f->etag_from, from);
	return 0;
}

static int head_partial(struct disk_fetch *f, const struct http_response *r)
{
	uint64_t start = 0;
	int64_t total = -1;
	if (!parse_content_range(r->content_range, &start, &total) ||
	    start != f->t.start + f->t.done) {
		err_set(&f->t.error, ERR_PROTOCOL,
			"the server answered another range than asked for");
		return refuse(f, true);
	}
	f->info.ranges = true;
	f->t.skip = 0;
	return check_identity(f, r, total);
}

static int head_whole(struct disk_fetch *f, const struct http_response *r)
{
	/* The file is another one, or the server takes no If-Range with an ETag. */
	if (f->t.pinned) {
		f->t.unpinned = f->t.again = true;
		return refuse(f, false);
	}
	f->info.ranges = false;
	if (f->t.start > 0) {
		err_set(&f->t.error, ERR_UNSUPPORTED,
			"the server does not serve parts of files (Range)");
		return refuse(f, true);
	}
	f->t.skip = f->t.done;
	return check_identity(f, r, r->content_length);
}

static bool may_pass(int status)
{
	return status >= 500 || status == 408 || status == 429;
}

/* RFC 9110, 15.5.17: the range begins behind the end (an empty file), or, for some servers, ends
 * there; both tell the size. */
static bool head_outside(struct disk_fetch *f, const struct http_response *r)
{
	unsigned long long size;
	uint64_t at = f->t.start + f->t.done;
	if (sscanf(r->content_range, "bytes */%llu", &size) != 1 || size > INT64_MAX ||
	    f->info.size >= 0 || (size > 0 && size <= at))
		return false;
	f->info.size = (int64_t)size;
	f->t.want = size - f->t.start;
	f->t.again = true;
	return true;
}

static int on_head(void *data, const struct http_response *r)
{
	struct disk_fetch *f = data;
	if (r->status == 416 && head_outside(f, r))
		return refuse(f, false);
	if (r->status == 206)
		return head_partial(f, r);
	if (r->status == 200)
		return head_whole(f, r);
	bool absent = r->status == 404 || r->status == 410;
	bool denied = r->status == 401 || r->status == 403;
	err_set_code(&f->t.error,
		     absent   ? ERR_NOT_FOUND
		     : denied ? ERR_DENIED
			      : ERR_PROTOCOL,
		     r->status, "HTTP status %d%s", r->status,
		     absent   ? ": nothing is there; correct the URL, or put the file in its place"
		     : denied ? ": let the host's address read it"
			      : "");
	return refuse(f, !may_pass(r->status));
}

static void end(struct disk_fetch *f, bool complete)
{
	f->t.complete = complete;
	f->op = http_cancel(f->op);
	over(f);
}

static void deliver(struct disk_fetch *f, const char *bytes, size_t len)
{
	struct transfer *t = &f->t;
	if (t->buffer) {
		len = (size_t)MIN((uint64_t)len, t->want - t->done);
		memcpy(t->buffer + t->done, bytes, len);
	} else {
		/* Never past bytes that already wait. */
		size_t n = t->held.len > 0 ? 0 : disk_ring_put(t->ring, bytes, len);
		if (n < len) {
			strbuf_add(&t->held, bytes + n, len - n);
			http_pause(f->op);
		}
	}
	t->done += len;
	if (t->received)
		atomic_store(t->received, t->done);
}

static void tell_trouble(struct disk_fetch *f, const struct err *err)
{
	struct transfer *t = &f->t;
	if ((!err && !t->troubled) || !f->options.trouble)
		return;
	t->troubled = err != NULL;
	f->options.trouble(f->options.trouble_data, MAX(t->failures, 1u), f->options.retries + 1,
			   err);
}

static int on_body(void *data, const char *bytes, size_t len)
{
	struct disk_fetch *f = data;
	size_t skip = (size_t)MIN((uint64_t)len, f->t.skip);
	tell_trouble(f, NULL);
	f->t.skip -= skip;
	if (len > skip)
		deliver(f, bytes + skip, len - skip);
	if (f->t.done == f->t.want)
		end(f, true);
	return 0;
}

static void on_space(void *data)
{
	struct disk_fetch *f = data;
	struct transfer *t = &f->t;
	if (!t->ring || t->held.len == 0)
		return;
	strbuf_consume(&t->held, disk_ring_put(t->ring, t->held.data, t->held.len));
	if (t->held.len > 0)
		return;
	if (t->complete)
		end(f, true);
	else if (f->op)
		http_resume(f->op);
}

void disk_fetch_space(void *fetch)
{
	struct disk_fetch *f = fetch;
	loop_post(f->loop, on_space, f);
}

static void on_abort(void *data)
{
	struct disk_fetch *f = data;
	err_set(&f->t.error, ERR_CANCELLED, "the transfer was given up");
	end(f, false);
}

void disk_fetch_abort(struct disk_fetch *f)
{
	if (!atomic_exchange(&f->aborted, true))
		loop_post(f->loop, on_abort, f);
}

/* --- attempts -------------------------------------------------------------------------------- */

/* The next URL that has not refused for good; false when none is left. */
static bool next_url(struct disk_fetch *f, bool *ret_around)
{
	size_t count = count_urls(&f->options);
	for (size_t i = 1; i <= count; i++) {
		size_t at = (f->url + i) % count;
		if (f->t.refused >> at & 1)
			continue;
		*ret_around = at <= f->url;
		f->url = at;
		return true;
	}
	return false;
}

/* Another replica is tried at once, and so is a server that was in full flow a moment ago. */
static usec_t next_delay(const struct disk_fetch *f, bool around, bool progress)
{
	return !around	  ? 0
	       : progress ? MIN(f->options.retry_interval, USEC_PER_SEC)
			  : f->options.retry_interval;
}

static void wrap_url(struct err *err, const char *url)
{
	_cleanup_(freep) char *shown = disk_url_shown(url);
	err_wrap(err, "image %.200s", shown);
}

/* Repeating cannot help: the certificate will not be trusted, a loop of redirects not end, and what
 * does not speak TLS not learn it. A name may be known in a moment, a server be up. */
static bool is_permanent(const struct err *err)
{
	bool redirected = err->code >= 300 && err->code < 400;
	return !err_kind_info(err->kind)->retry || redirected || err->code == EPROTONOSUPPORT;
}

/* What one replica refuses, another may have; and one that cannot be reached may come back. A round
 * through all of them counts as one failure. */
static void failed(struct disk_fetch *f, const struct err *err)
{
	struct transfer *t = &f->t;
	bool around = false, progress = t->done > t->done_at_failure;
	if (t->again) {
		t->again = false;
		err_clear(&t->error);
		if (t->want == 0)
			end(f, true);
		else
			timer_set_in(&f->retry, 0);
		return;
	}
	if (!t->error.kind) {
		t->error = *err;
		t->fatal = is_permanent(err);
	} else
		wrap_url(&t->error, f->options.urls[f->url]);
	if (t->done - t->done_at_failure >= PROGRESS_BYTES)
		t->failures = 0;
	t->done_at_failure = t->done;
	if (t->fatal)
		t->refused |= UINT64_C(1) << f->url;
	bool left = next_url(f, &around);
	t->failures += around || !left;
	if (left && t->failures <= f->options.retries) {
		tell_trouble(f, &t->error);
		timer_set_in(&f->retry, next_delay(f, around, progress));
		return;
	}
	if (t->failures > 1)
		err_wrap(&t->error, "after %u attempts, %llu bytes received", t->failures,
			 (unsigned long long)t->done);
	end(f, false);
}

static void on_done(void *data, const struct err *err, const struct http_response *r,
		    const char *body, size_t len)
{
	struct disk_fetch *f = data;
	(void)r, (void)body, (void)len;
	f->op = NULL;
	if (err) {
		failed(f, err);
		return;
	}
	uint64_t at = f->t.start + f->t.done;
	if (f->info.size >= 0 && at < (uint64_t)f->info.size && f->t.done < f->t.want) {
		struct err cut;
		err_set(&cut, ERR_PROTOCOL, "the answer ended at byte %llu of %lld",
			(unsigned long long)at, (long long)f->info.size);
		failed(f, &cut);
		return;
	}
	/* The last bytes may still wait for room in the ring. */
	f->t.complete = true;
	if (f->t.held.len == 0)
		end(f, true);
}

static void range_header(const struct transfer *t, char out[80])
{
	uint64_t at = t->start + t->done;
	if (t->want == UINT64_MAX)
		snprintf(out, 80, "Range: bytes=%llu-", (unsigned long long)at);
	else
		snprintf(out, 80, "Range: bytes=%llu-%llu", (unsigned long long)at,
			 (unsigned long long)(t->start + t->want - 1));
}

/* RFC 9110 13.1.5: only a strong validator of this very server may be sent. Where a redirect leads
 * is not known before. */
static bool may_pin(const struct disk_fetch *f)
{
	_cleanup_(freep) char *asked = origin_of(f->options.urls[f->url]);
	return !f->t.unpinned && !f->options.any_validator && !str_empty(f->etag) &&
	       f->etag[0] == '"' && streq(f->etag_from, asked);
}

static void attempt(void *data)
{
	struct disk_fetch *f = data;
	struct transfer *t = &f->t;
	char range[80], pin[300];
	_cleanup_(freep) char *authorization = NULL;
	const char *headers[4] = { NULL };
	size_t count = 0;
	bool ranged = t->want != UINT64_MAX || t->start + t->done > 0;
	t->pinned = false;
	if (ranged) {
		range_header(t, range);
		headers[count++] = range;
		if (may_pin(f) && t->start + t->done > 0) {
			snprintf(pin, sizeof(pin), "If-Range: %s", f->etag);
			headers[count++] = pin;
			t->pinned = true;
		}
	}
	if (f->options.authorization) {
		authorization = xasprintf("Authorization: %s", f->options.authorization);
		headers[count++] = authorization;
	}
	const struct http_request request = {
		.url = f->options.urls[f->url],
		.headers = headers,
		.username = f->options.username,
		.password = f->options.password,
		.tls = f->options.tls,
		.proxy = f->options.proxy,
		.no_proxy = f->options.no_proxy,
		.connect_timeout = patience(f),
		.idle_timeout = patience(f),
		.max_redirects = REDIRECTS,
		.what = "image",
	};
	static const struct http_handlers handlers = { .head = on_head,
						       .body = on_body,
						       .done = on_done };
	err_clear(&t->error);
	t->fatal = false;
	f->op = http_start(f->client, &request, &handlers, f, &t->error);
	if (!f->op)
		end(f, false);
}

/* Runs the transfer that stands in f->t. */
static int run(struct disk_fetch *f, struct err *err)
{
	if (f->t.want == 0)
		return 0;
	if (!f->t.over)
		attempt(f);
	while (!f->t.over) /* a stop of the transfer before may still be in the loop */
		loop_run(f->loop);
	timer_stop(&f->retry);
	timer_stop(&f->deadline);
	f->op = http_cancel(f->op);
	strbuf_done(&f->t.held);
	if (f->t.complete)
		return 0;
	if (!f->t.error.kind)
		err_set(&f->t.error, ERR_CANCELLED, "the transfer was given up");
	/* The last refusal decides: if the file was another one, a new pass can succeed. */
	if (f->t.changed && f->t.error.kind != ERR_CANCELLED)
		f->t.error.kind = ERR_CONFLICT;
	return err_copy(err, &f->t.error);
}

int disk_fetch_range(struct disk_fetch *f, uint64_t offset, void *buf, size_t len, size_t *ret_len,
		     struct err *err)
{
	/* Asking beyond the end would be answered by 416. */
	if (f->info.size >= 0)
		len = offset >= (uint64_t)f->info.size
			      ? 0
			      : (size_t)MIN((uint64_t)len, (uint64_t)f->info.size - offset);
	f->t = (struct transfer){ .start = offset, .want = len, .buffer = buf };
	int r = run(f, err);
	if (r == 0)
		*ret_len = (size_t)f->t.done;
	return r;
}

int disk_fetch_stream(struct disk_fetch *f, struct disk_ring *ring, _Atomic uint64_t *received,
		      struct err *err)
{
	struct err local = { 0 };
	f->t = (struct transfer){ .want = UINT64_MAX, .ring = ring, .received = received };
	if (f->options.max_duration)
		timer_set_in(&f->deadline, f->options.max_duration);
	int r = run(f, &local);
	f->t.ring = NULL;
	disk_ring_end(ring, r < 0 ? &local : NULL);
	return r < 0 ? err_copy(err, &local) : 0;
}

/* --- small files ----------------------------------------------------------------------------- */

static void on_text(void *data, const struct err *err, const struct http_response *r,
		    const char *body, size_t len)
{
	struct disk_fetch *f = data;
	f->op = NULL;
	if (err) {
		f->t.error = *err;
		f->t.fatal = is_permanent(err);
	} else if (r->status != 200) {
		err_set_code(&f->t.error, r->status == 404 ? ERR_NOT_FOUND : ERR_PROTOCOL,
			     r->status, "HTTP status %d", r->status);
		f->t.fatal = !may_pass(r->status);
	} else {
		strbuf_add(&f->text, body, len);
	}
	f->t.complete = f->t.error.kind == ERR_NONE;
	end(f, f->t.complete);
}

static void until_over(struct disk_fetch *f)
{
	while (!f->t.over)
		loop_run(f->loop);
	f->op = http_cancel(f->op);
}

/* Between two tries. */
static void rest(struct disk_fetch *f)
{
	f->t.over = false;
	timer_set_in(&f->rest, f->options.retry_interval);
	until_over(f);
	timer_stop(&f->rest);
}

/* As patient as with the image itself: both often stand on the same server. */
static int try_text(struct disk_fetch *f, const struct http_request *request, struct err *err)
{
	static const struct http_handlers handlers = { .done = on_text };
	for (unsigned failures = 0;;) {
		f->t = (struct transfer){ .want = 1, .failures = failures };
		strbuf_clear(&f->text);
		f->op = http_start(f->client, request, &handlers, f, err);
		if (!f->op)
			return err_value(err);
		until_over(f);
		f->t.troubled = failures > 0;
		if (f->t.complete) {
			tell_trouble(f, NULL);
			return 0;
		}
		if (f->t.error.code)
			wrap_url(&f->t.error, request->url);
		f->t.failures = ++failures;
		if (f->t.fatal || failures > f->options.retries || atomic_load(&f->aborted))
			return err_copy(err, &f->t.error);
		tell_trouble(f, &f->t.error);
		rest(f);
	}
}

int disk_fetch_text(struct disk_fetch *f, const char *url, size_t max, char **ret, size_t *ret_len,
		    struct err *err)
{
	const struct http_request request = {
		.url = url,
		.username = f->options.username,
		.password = f->options.password,
		.tls = f->options.tls,
		.proxy = f->options.proxy,
		.no_proxy = f->options.no_proxy,
		.connect_timeout = f->options.connect_timeout,
		.idle_timeout = f->options.connect_timeout,
		.max_redirects = REDIRECTS,
		.max_body_bytes = max,
	};
	int r = disk_url_check(url, err);
	if (r == 0)
		r = try_text(f, &request, err);
	if (r == 0)
		*ret = strbuf_take(&f->text, ret_len);
	return r;
}
