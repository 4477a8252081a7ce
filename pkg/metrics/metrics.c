/* Series in memory, and their text. One hash table per metric under one lock, which is held for a
 * write of one series or a copy of one table, never while text is made. A histogram's buckets are
 * kept apart and summed when they are printed, as the format wants them.
 *
 * The order of hash chains is that of a host's labels alone for metrics that tell of hosts, so that
 * all series of a host stand in one chain and go without a search. any thread */

#include "metrics/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SLOTS_FIRST = 16, LABELS_TEXT_MAX = 640 };

struct series {
	struct series *next;
	/* Counter, gauge: the value. Histogram: the sum, then the buckets, the last one without a
	 * bound. */
	double *values;
	char labels[]; /* the values of all labels of the row, each ended by NUL */
};

struct family {
	struct series **slots;
	size_t slot_count, count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct family families[_METRIC_MAX];

/* --- rows ------------------------------------------------------------------------------------- */

static size_t label_count(const struct metric *m)
{
	size_t n = 0;
	while (n < METRIC_LABELS_MAX && m->labels[n])
		n++;
	return n;
}

static size_t bucket_count(const struct metric *m)
{
	size_t n = 0;
	while (m->buckets[n] > 0)
		n++;
	return n;
}

static size_t value_count(const struct metric *m)
{
	return m->type == METRIC_HISTOGRAM ? bucket_count(m) + 2 : 1;
}

static bool tells_of_hosts(const struct metric *m)
{
	return streq(m->labels[0], "namespace") && streq(m->labels[1], "host");
}

/* --- series ----------------------------------------------------------------------------------- */

static size_t texts_len(const char *texts, size_t count)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++)
		len += strlen(texts + len) + 1;
	return len;
}

static size_t slot_of(const struct family *f, const struct metric *m, const char *labels)
{
	size_t len = texts_len(labels, tells_of_hosts(m) ? 2 : label_count(m));
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)labels[i]) * UINT64_C(0x100000001b3);
	return (size_t)((hash ^ hash >> 32) & (f->slot_count - 1));
}

static void grow(struct family *f, const struct metric *m)
{
	struct family old = *f;
	f->slot_count = old.slot_count ? old.slot_count * 2 : SLOTS_FIRST;
	f->slots = xcalloc(f->slot_count, sizeof(struct series *));
	for (size_t i = 0; i < old.slot_count; i++)
		for (struct series *s = old.slots[i], *next; s; s = next) {
			size_t at = slot_of(f, m, s->labels);
			next = s->next;
			s->next = f->slots[at];
			f->slots[at] = s;
		}
	free(old.slots);
}

static struct series *series_new(const struct metric *m, const char *labels, size_t len)
{
	size_t values = sizeof(double) * value_count(m);
	/* One piece of memory: there are as many as hosts. The labels are padded to the doubles. */
	size_t head = (sizeof(struct series) + len + sizeof(double) - 1) / sizeof(double) *
		      sizeof(double);
	struct series *s = xcalloc(1, head + values);
	memcpy(s->labels, labels, len);
	s->values = (double *)(void *)((char *)s + head);
	return s;
}

/* NULL: there are too many. */
static struct series *find(enum metric_id id, const char *labels, size_t len)
{
	const struct metric *m = metric_row(id);
	struct family *f = &families[id];
	if (f->count >= f->slot_count)
		grow(f, m);
	size_t at = slot_of(f, m, labels);
	for (struct series *s = f->slots[at]; s; s = s->next)
		if (texts_len(s->labels, label_count(m)) == len && !memcmp(s->labels, labels, len))
			return s;
	if (f->count >= METRIC_SERIES_MAX)
		return NULL;
	struct series *s = series_new(m, labels, len);
	s->next = f->slots[at];
	f->slots[at] = s;
	f->count++;
	return s;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void observe(const struct metric *m, double *values, double value)
{
	size_t i = 0;
	while (m->buckets[i] > 0 && value > m->buckets[i])
		i++;
	values[0] += value;
	values[1 + i]++;
}

static void write_locked(enum metric_id id, enum metric_verb verb, double value, const char *labels,
			 size_t len)
{
	struct series *s = find(id, labels, len);
	if (!s) {
		find(METRIC_DROPPED_SERIES, "", 0)->values[0]++;
		return;
	}
	switch (verb) {
	case METRIC_ADD:
		s->values[0] += value;
		break;
	case METRIC_SET:
		s->values[0] = value;
		break;
	case METRIC_OBSERVE:
		observe(metric_row(id), s->values, value);
		break;
	}
}

/* Names in Kubernetes have 253 characters at most; what is longer is cut. */
static size_t join(const struct metric *m, va_list ap, char out[LABELS_TEXT_MAX])
{
	size_t len = 0;
	bool more = true;
	for (size_t i = 0; i < label_count(m); i++) {
		const char *value = more ? va_arg(ap, const char *) : NULL;
		size_t room = LABELS_TEXT_MAX - len - (label_count(m) - i), n;
		more = more && value;
		n = value ? MIN(strlen(value), room) : 0;
		memcpy(out + len, value ? value : "", n);
		out[len + n] = '\0';
		len += n + 1;
	}
	return len;
}

void metric_write(enum metric_id id, enum metric_verb verb, double value, ...)
{
	char labels[LABELS_TEXT_MAX] = "";
	va_list ap;
	va_start(ap, value);
	size_t len = join(metric_row(id), ap, labels);
	va_end(ap);
	pthread_mutex_lock(&lock);
	write_locked(id, verb, value, labels, len);
	pthread_mutex_unlock(&lock);
}

/* --- forgetting ------------------------------------------------------------------------------- */

static void forget_in(struct family *f, const struct metric *m, const char *labels, size_t len)
{
	if (f->slot_count == 0)
		return;
	for (struct series **at = &f->slots[slot_of(f, m, labels)], *s; (s = *at);) {
		if (memcmp(s->labels, labels, len) != 0) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		f->count--;
		free(s);
	}
}

void metrics_forget_host(const char *ns, const char *host)
{
	_cleanup_(strbuf_done) struct strbuf labels = { 0 };
	strbuf_add(&labels, ns, strlen(ns) + 1);
	strbuf_add(&labels, host, strlen(host) + 1);
	size_t len = labels.len;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < _METRIC_MAX; i++)
		if (tells_of_hosts(metric_row((enum metric_id)i)))
			forget_in(&families[i], metric_row((enum metric_id)i), labels.data, len);
	pthread_mutex_unlock(&lock);
}

void metrics_reset(void)
{
	pthread_mutex_lock(&lock);
	for (size_t id = 0; id < _METRIC_MAX; id++) {
		struct family *f = &families[id];
		for (size_t i = 0; i < f->slot_count; i++)
			for (struct series *s = f->slots[i], *next; s; s = next) {
				next = s->next;
				free(s);
			}
		free(f->slots);
		*f = (struct family){ 0 };
	}
	pthread_mutex_unlock(&lock);
}

/* --- text ------------------------------------------------------------------------------------- */

/* `quotes`: in label values; in help texts they stand as they are. */
static void add_escaped(struct strbuf *out, const char *text, bool quotes)
{
	for (; *text; text++)
		if (*text == '\n')
			strbuf_adds(out, "\\n");
		else if (*text == '\\' || (quotes && *text == '"'))
			strbuf_addf(out, "\\%c", *text);
		else
			strbuf_addc(out, *text);
}

static void add_number(struct strbuf *out, double v)
{
	if (isinf(v))
		strbuf_adds(out, v > 0 ? "+Inf" : "-Inf");
	else if (v == floor(v) && fabs(v) < 1e15)
		strbuf_addf(out, "%.0f", v);
	else
		strbuf_addf(out, "%.15g", v);
}

/* `le` 0: no such label. */
static void add_sample(struct strbuf *out, const struct metric *m, const char *suffix,
		       const char *labels, double le, double value)
{
	const char *separator = "{";
	strbuf_adds(out, m->name);
	strbuf_adds(out, suffix);
	for (size_t i = 0; i < label_count(m); i++) {
		strbuf_adds(out, separator);
		strbuf_adds(out, m->labels[i]);
		strbuf_adds(out, "=\"");
		add_escaped(out, labels, true);
		strbuf_addc(out, '"');
		labels += strlen(labels) + 1;
		separator = ",";
	}
	if (le > 0) {
		strbuf_adds(out, separator);
		strbuf_adds(out, "le=\"");
		add_number(out, le);
		strbuf_addc(out, '"');
		separator = ",";
	}
	strbuf_adds(out, *separator == '{' ? " " : "} ");
	add_number(out, value);
	strbuf_addc(out, '\n');
}

static void add_series(struct strbuf *out, const struct metric *m, const char *labels,
		       const double *values)
{
	double total = 0;
	if (m->type != METRIC_HISTOGRAM) {
		add_sample(out, m, "", labels, 0, values[0]);
		return;
	}
	for (size_t i = 0; i <= bucket_count(m); i++) {
		double bound = m->buckets[i] > 0 ? m->buckets[i] : (double)INFINITY;
		total += values[1 + i];
		add_sample(out, m, "_bucket", labels, bound, total);
	}
	add_sample(out, m, "_sum", labels, 0, values[0]);
	add_sample(out, m, "_count", labels, 0, total);
}

static int by_labels(const void *a, const void *b)
{
	const struct series *const *x = a, *const *y = b;
	const char *p = (*x)->labels, *q = (*y)->labels;
	/* No two series are equal, so this ends before their labels do. */
	while (*p == *q)
		p++, q++;
	return (unsigned char)*p - (unsigned char)*q;
}

/* The caller frees the array and each of its members. */
static struct series **copy_family(enum metric_id id, size_t *ret_count)
{
	const struct metric *m = metric_row(id);
	const struct family *f = &families[id];
	size_t n = 0;
	pthread_mutex_lock(&lock);
	struct series **list = xcalloc(f->count + 1, sizeof(struct series *));
	for (size_t i = 0; i < f->slot_count; i++)
		for (const struct series *s = f->slots[i]; s; s = s->next) {
			size_t len = texts_len(s->labels, label_count(m));
			list[n] = series_new(m, s->labels, len);
			memcpy(list[n++]->values, s->values, sizeof(double) * value_count(m));
		}
	pthread_mutex_unlock(&lock);
	qsort(list, n, sizeof(list[0]), by_labels);
	*ret_count = n;
	return list;
}

static void add_family(struct strbuf *out, enum metric_id id)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	const struct metric *m = metric_row(id);
	size_t count;
	struct series **list = copy_family(id, &count);
	if (count == 0 && label_count(m) == 0) {
		list[0] = series_new(m, "", 0);
		count = 1;
	}
	strbuf_addf(out, "# HELP %s ", m->name);
	add_escaped(out, m->help, false);
	strbuf_addf(out, "\n# TYPE %s %s\n", m->name, types[m->type]);
	for (size_t i = 0; i < count; i++) {
		add_series(out, m, list[i]->labels, list[i]->values);
		free(list[i]);
	}
	free(list);
}

void metrics_text(struct strbuf *out)
{
	for (size_t i = 0; i < _METRIC_MAX; i++)
		add_family(out, (enum metric_id)i);
}
