/* The matcher of root device hints, which follows the grammar of Ironic's: an operator, then one or
 * more values; all comparisons of strings in lower case and without blanks around. Hints may come
 * as JSON strings, numbers or booleans. Pure. */

#include "agent/disk/hints.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define GIB	     ((double)(1024 * 1024 * 1024))
#define ROOT_MINIMUM (UINT64_C(4) << 30)

enum { VALUES_MAX = 16 };

enum type { TYPE_STRING, TYPE_NUMBER, TYPE_BOOL };

enum op {
	OP_DEFAULT, /* none was written */
	OP_IN,
	OP_ALL_IN,
	OP_OR,
	OP_RANGE_IN,
	OP_STR_EQ,
	OP_STR_NE,
	OP_STR_LE,
	OP_STR_GE,
	OP_STR_LT,
	OP_STR_GT,
	OP_NUM_EQ,
	OP_NUM_NE,
	OP_NUM_LE,
	OP_NUM_GE,
	OP_NUM_LT,
	OP_NUM_GT,
};

/* Longer words first, so that "s<=" is not read as "s<". */
static const struct {
	const char *word;
	enum op op;
} ops[] = {
	{ "<range-in>", OP_RANGE_IN },
	{ "<all-in>", OP_ALL_IN },
	{ "<in>", OP_IN },
	{ "<or>", OP_OR },
	{ "s==", OP_STR_EQ },
	{ "s!=", OP_STR_NE },
	{ "s<=", OP_STR_LE },
	{ "s>=", OP_STR_GE },
	{ "s<", OP_STR_LT },
	{ "s>", OP_STR_GT },
	{ "==", OP_NUM_EQ },
	{ "!=", OP_NUM_NE },
	{ "<=", OP_NUM_LE },
	{ ">=", OP_NUM_GE },
	{ "<", OP_NUM_LT },
	{ ">", OP_NUM_GT },
	{ "=", OP_NUM_GE }, /* means "at least", as in Nova */
};

static const struct {
	const char *key;
	enum type type;
} keys[] = {
	{ "name", TYPE_STRING },
	{ "model", TYPE_STRING },
	{ "vendor", TYPE_STRING },
	{ "serial", TYPE_STRING },
	{ "wwn", TYPE_STRING },
	{ "wwn_with_extension", TYPE_STRING },
	{ "wwn_vendor_extension", TYPE_STRING },
	{ "hctl", TYPE_STRING },
	{ "by_path", TYPE_STRING },
	{ "tran", TYPE_STRING },
	{ "size", TYPE_NUMBER },
	{ "rotational", TYPE_BOOL },
};

struct hint {
	enum type type;
	enum op op;
	char *text; /* owns what values point into */
	char *values[VALUES_MAX];
	size_t count;
};

static void hint_done(struct hint *h)
{
	free(h->text);
}

/* --- reading a hint -------------------------------------------------------------------------- */

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	for (size_t n = strlen(s); n > 0 && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

static char *lower_copy(const char *s)
{
	char *copy = xstrdup(s);
	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

/* An operator may touch its value ("s==/dev/sda"): people write both. */
static enum op take_op(char **p, const char **ret_word)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!str_has_prefix(*p, ops[i].word))
			continue;
		*p += strlen(ops[i].word);
		*ret_word = ops[i].word;
		return ops[i].op;
	}
	return OP_DEFAULT;
}

static void add_value(struct hint *h, char *value)
{
	value = trim(value);
	if (*value && h->count < VALUES_MAX)
		h->values[h->count++] = value;
}

/* "<all-in> a b": every word is a value of its own. */
static void split_words(struct hint *h, char *p)
{
	char *save = NULL;
	for (char *word = strtok_r(p, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
		add_value(h, word);
}

/* "<or> a <or> b": the operator stands before each value. */
static void split_at(struct hint *h, char *p, const char *word)
{
	for (char *next; (next = strstr(p, word)); p = next + strlen(word)) {
		*next = '\0';
		add_value(h, p);
	}
	add_value(h, p);
}

static void split_values(struct hint *h, char *p, const char *word)
{
	if (h->op == OP_OR) {
		split_at(h, p, word);
	} else if (h->op == OP_ALL_IN) {
		for (char *again; (again = strstr(p, word));)
			memset(again, ' ', strlen(word));
		split_words(h, p);
	} else if (h->op == OP_RANGE_IN) {
		split_words(h, p);
	} else {
		add_value(h, p);
	}
}

/* The text of a JSON scalar; NULL otherwise. */
static char *scalar_text(const struct json *j)
{
	bool b;
	if (json_bool(j, &b))
		return xstrdup(b ? "true" : "false");
	const char *text = json_string(j) ? json_string(j) : json_number_text(j);
	return text ? lower_copy(text) : NULL;
}

static int bad_hint(const char *key, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "root device hint \"%.40s\" %s", key, why);
}

static bool parse_double(const char *s, double *ret)
{
	char *end;
	errno = 0;
	*ret = strtod(s, &end);
	return end != s && *end == '\0' && errno == 0;
}

/* The words of oslo's bool_from_string(strict=True). */
static int bool_of(const char *s)
{
	static const char *const yes[] = { "1", "t", "true", "on", "y", "yes" };
	static const char *const no[] = { "0", "f", "false", "off", "n", "no" };
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (streq(s, yes[i]))
			return 1;
		if (streq(s, no[i]))
			return 0;
	}
	return -EINVAL;
}

/* What could never match is an error here, so that it is told before a disk is looked for. */
static int check_values(const struct hint *h, const char *key, struct err *err)
{
	double number;
	if (h->count == 0)
		return bad_hint(key, "has no value", err);
	if (h->type == TYPE_BOOL && (h->count != 1 || bool_of(h->values[0]) < 0))
		return bad_hint(key, "is neither true nor false", err);
	/* "[ 20 40 ]": the brackets are words of their own */
	if (h->op == OP_RANGE_IN)
		return h->count == 4 ? 0 : bad_hint(key, "needs \"<range-in> [ low high ]\"", err);
	for (size_t i = 0; h->type == TYPE_NUMBER && i < h->count; i++)
		if (!parse_double(h->values[i], &number) || number < 0)
			return bad_hint(key, "is not a number", err);
	return 0;
}

static int parse_hint(const struct json *value, const char *key, struct hint *ret, struct err *err)
{
	struct hint h = { 0 };
	size_t i = 0;
	while (i < ARRAY_SIZE(keys) && !streq(keys[i].key, key))
		i++;
	if (i == ARRAY_SIZE(keys))
		return bad_hint(key, "is not known", err);
	h.type = keys[i].type;
	h.text = scalar_text(value);
	if (!h.text)
		return bad_hint(key, "is neither text nor number", err);
	const char *word = "";
	char *p = trim(h.text);
	h.op = take_op(&p, &word);
	split_values(&h, p, word);
	int r = check_values(&h, key, err);
	if (r < 0)
		hint_done(&h);
	else
		*ret = h;
	return r;
}

int disk_hints_check(const struct json *hints, struct err *err)
{
	if (json_is_null(hints))
		return 0;
	if (!json_is_object(hints))
		return err_set(err, ERR_INVALID, "root device hints are not an object");
	json_for_each(value, hints) {
		_cleanup_(hint_done) struct hint h = { 0 };
		int r = parse_hint(value, json_key(value), &h, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- comparing ------------------------------------------------------------------------------- */

static bool compare_order(enum op op, int order)
{
	switch (op) {
	case OP_STR_NE:
	case OP_NUM_NE:
		return order != 0;
	case OP_STR_LE:
	case OP_NUM_LE:
		return order <= 0;
	case OP_STR_GE:
	case OP_NUM_GE:
		return order >= 0;
	case OP_STR_LT:
	case OP_NUM_LT:
		return order < 0;
	case OP_STR_GT:
	case OP_NUM_GT:
		return order > 0;
	case OP_DEFAULT:
	case OP_STR_EQ:
	case OP_NUM_EQ:
	case OP_IN:
	case OP_ALL_IN:
	case OP_OR:
	case OP_RANGE_IN:
		break;
	}
	return order == 0;
}

/* Sizes are fractions of GiB; equality of doubles is what the reference compares, too. */
static int compare_numbers(double a, double b)
{
	return a < b ? -1 : a > b;
}

static bool in_range(const struct hint *h, double value)
{
	double low, high;
	if (!parse_double(h->values[1], &low) || !parse_double(h->values[2], &high))
		return false;
	bool above = *h->values[0] == '[' ? value >= low : value > low;
	bool below = *h->values[3] == ']' ? value <= high : value < high;
	return above && below;
}

static bool match_number(const struct hint *h, double value)
{
	double number = 0;
	if (h->op == OP_RANGE_IN)
		return in_range(h, value);
	for (size_t i = 0; h->op == OP_OR && i < h->count; i++)
		if (parse_double(h->values[i], &number) && number == value)
			return true;
	if (h->op == OP_OR || !parse_double(h->values[0], &number))
		return false;
	return compare_order(h->op, compare_numbers(value, number));
}

static bool match_text(const struct hint *h, const char *raw)
{
	_cleanup_(freep) char *copy = lower_copy(raw);
	const char *value = trim(copy);
	double number, wanted;
	size_t found = 0;
	for (size_t i = 0; i < h->count; i++)
		found += h->op == OP_OR ? streq(value, h->values[i])
					: strstr(value, h->values[i]) != NULL;
	if (h->op == OP_OR)
		return found > 0;
	if (h->op == OP_IN || h->op == OP_ALL_IN)
		return found == h->count;
	if (h->op == OP_RANGE_IN)
		return parse_double(value, &number) && in_range(h, number);
	if (h->count == 0)
		return false;
	bool numeric = h->op >= OP_NUM_EQ;
	if (numeric && parse_double(value, &number) && parse_double(h->values[0], &wanted))
		return compare_order(h->op, compare_numbers(number, wanted));
	return compare_order(h->op, strcmp(value, h->values[0]));
}

/* serial and wwn count with every form in which lsblk or udev show them: what is meant is meant by
 * any of them, and what is excluded is excluded by any. */
static bool match_any(const struct hint *h, const char *const *values)
{
	bool excludes = h->op == OP_STR_NE || h->op == OP_NUM_NE;
	bool matches = excludes && *values;
	for (; *values && matches == excludes; values++)
		matches = match_text(h, *values);
	return matches;
}

static const char *fact(const struct disk_facts *d, const char *key)
{
	const struct {
		const char *key, *value;
	} facts[] = {
		{ "name", d->name },
		{ "model", d->model },
		{ "vendor", d->vendor },
		{ "wwn_with_extension", d->wwn_with_extension },
		{ "wwn_vendor_extension", d->wwn_vendor_extension },
		{ "hctl", d->hctl },
		{ "tran", d->tran },
	};
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		if (streq(facts[i].key, key))
			return facts[i].value;
	return NULL;
}

static bool match_one(const struct json *value, const struct disk_facts *d)
{
	_cleanup_(hint_done) struct hint h = { 0 };
	const char *key = json_key(value);
	if (parse_hint(value, key, &h, NULL) < 0)
		return false;
	if (h.type == TYPE_NUMBER)
		return match_number(&h, (double)d->size / GIB);
	if (h.type == TYPE_BOOL)
		return (bool_of(h.values[0]) == 1) == d->rotational;
	if (streq(key, "serial"))
		return match_any(&h, d->serials);
	if (streq(key, "wwn"))
		return match_any(&h, d->wwns);
	/* A name below /dev/disk/by-path is the same hint in other words. */
	if (streq(key, "name") && str_has_prefix(h.values[0], "/dev/disk/by-path/"))
		return match_any(&h, d->by_paths);
	if (streq(key, "by_path"))
		return match_any(&h, d->by_paths);
	const char *text = fact(d, key);
	return text && match_text(&h, text);
}

bool disk_hints_match(const struct json *hints, const struct disk_facts *disk)
{
	json_for_each(value, hints)
		if (!match_one(value, disk))
			return false;
	return true;
}

/* The reference's rule for nodes without hints. */
static int smallest(const struct disk_facts *disks, size_t count)
{
	int best = -ENOENT;
	for (size_t i = 0; i < count; i++) {
		if (disks[i].size < ROOT_MINIMUM)
			continue;
		const struct disk_facts *b = best >= 0 ? &disks[best] : NULL;
		if (!b || disks[i].size < b->size ||
		    (disks[i].size == b->size && strcmp(disks[i].name, b->name) < 0))
			best = (int)i;
	}
	return best;
}

/* Whoever wrote the hints needs to see what there was to choose from. */
static int none_fits(const struct json *hints, const struct disk_facts *disks, size_t count,
		     struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf list = { 0 };
	_cleanup_(freep) char *asked = json_to_string(hints);
	for (size_t i = 0; i < count; i++)
		strbuf_addf(&list, "%s%s (%.1f GiB)", i ? ", " : "", disks[i].name,
			    (double)disks[i].size / GIB);
	if (json_count(hints) == 0)
		return err_set(err, ERR_NOT_FOUND,
			       "no disk of at least 4 GiB to write to; there are: %.300s",
			       list.len ? list.data : "none");
	return err_set(
		err, ERR_NOT_FOUND,
		"no disk matches the root device hints %.200s: correct rootDeviceHints; there are: %.200s",
		asked, list.len ? list.data : "none");
}

/* Does the hint name one disk, and not a kind of disks? */
static bool is_identity(const struct json *value)
{
	static const char *const identities[] = {
		"name", "serial",  "wwn", "wwn_with_extension", "wwn_vendor_extension",
		"hctl", "by_path",
	};
	_cleanup_(hint_done) struct hint h = { 0 };
	bool found = false;
	if (parse_hint(value, json_key(value), &h, NULL) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(identities); i++)
		found |= streq(json_key(value), identities[i]);
	return found && (h.op == OP_DEFAULT || h.op == OP_STR_EQ || h.op == OP_NUM_EQ);
}

/* One disk that is seen twice, by two paths that no multipath device puts together. WWN and serial
 * number alone are no proof: cheap disks of one batch share the one, volumes of one controller the
 * other. */
static bool same_disk(const struct disk_facts *a, const struct disk_facts *b)
{
	return a->wwns[0] && streq(a->wwns[0], b->wwns[0]) &&
	       streq(a->wwn_with_extension, b->wwn_with_extension) && a->serials[0] &&
	       streq(a->serials[0], b->serials[0]) && a->size == b->size;
}

static int ambiguous(const struct json *hints, const struct disk_facts *disks, size_t count,
		     struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf list = { 0 };
	_cleanup_(freep) char *asked = json_to_string(hints);
	for (size_t i = 0; i < count; i++)
		if (disk_hints_match(hints, &disks[i]))
			strbuf_addf(&list, "%s%s (%.1f GiB)", list.len ? ", " : "", disks[i].name,
				    (double)disks[i].size / GIB);
	return err_set(
		err, ERR_INVALID,
		"the root device hints %.200s match several disks: %.200s; add to rootDeviceHints what only one of them has",
		asked, list.data);
}

/* The first disk that matches. Hints that name one disk must not leave a choice: of two that share
 * a name, either may be the one with the data. */
static int choose_match(const struct json *hints, const struct disk_facts *disks, size_t count,
			struct err *err)
{
	int first = -ENOENT;
	bool one = false;
	json_for_each(value, hints)
		one |= is_identity(value);
	for (size_t i = 0; i < count; i++) {
		if (!disk_hints_match(hints, &disks[i]))
			continue;
		if (first < 0)
			first = (int)i;
		else if (one && !same_disk(&disks[first], &disks[i]))
			return ambiguous(hints, disks, count, err);
	}
	return first >= 0 ? first : none_fits(hints, disks, count, err);
}

int disk_hints_choose(const struct json *hints, const struct disk_facts *disks, size_t count,
		      struct err *err)
{
	int r = disk_hints_check(hints, err);
	if (r < 0)
		return r;
	if (json_count(hints) == 0) {
		int best = smallest(disks, count);
		return best >= 0 ? best : none_fits(hints, disks, count, err);
	}
	return choose_match(hints, disks, count, err);
}
