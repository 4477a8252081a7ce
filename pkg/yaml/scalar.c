/* Which plain scalars are null, booleans and numbers: as sigs.k8s.io/yaml reads them, by which
 * kubectl, API servers and Metal3 read all their YAML. That is YAML 1.1 without numbers of base 60,
 * and with dates as strings: yes, no, on, off, y and n are booleans, 0644 and 0o644 are octal,
 * 0b101 is binary, and underscores in numbers count for nothing. Decimal numbers keep their digits;
 * only what JSON cannot spell (a plus sign, zeros in front, a bare point, other bases) is
 * rewritten. Pure.
 */

#include "yaml/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void scalar_quote(const char *text, struct strbuf *out)
{
	strbuf_addc(out, '"');
	for (;;) {
		size_t plain = 0;
		while ((unsigned char)text[plain] >= 0x20 && text[plain] != '"' &&
		       text[plain] != '\\')
			plain++;
		strbuf_add(out, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		if (*text == '"' || *text == '\\')
			strbuf_addf(out, "\\%c", *text);
		else if (*text == '\n')
			strbuf_adds(out, "\\n");
		else
			strbuf_addf(out, "\\u%04x", (unsigned)*text);
		text++;
	}
	strbuf_addc(out, '"');
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (streq(text, *words))
			return true;
	return false;
}

bool scalar_is_null(const char *text)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL", NULL };
	return is_one_of(text, words);
}

/* JSON's spelling, or NULL. */
static const char *resolve_word(const char *text)
{
	static const char *const yes[] = { "y",	   "Y",	   "yes", "Yes", "YES", "true",
					   "True", "TRUE", "on",  "On",	 "ON",	NULL };
	static const char *const no[] = { "n",	   "N",	    "no",  "No",  "NO",	 "false",
					  "False", "FALSE", "off", "Off", "OFF", NULL };
	if (scalar_is_null(text))
		return "null";
	return is_one_of(text, yes) ? "true" : is_one_of(text, no) ? "false" : NULL;
}

static bool is_not_finite(const char *text)
{
	static const char *const nan[] = { ".nan", ".NaN", ".NAN", NULL };
	static const char *const inf[] = { ".inf", ".Inf", ".INF", NULL };
	if (is_one_of(text, nan))
		return true;
	return is_one_of(text + (*text == '-' || *text == '+'), inf);
}

/* --- integers --------------------------------------------------------------------------------- */

static const char digits[] = "0123456789";

/* The base of what follows a sign, as in Go's literals; skips its prefix. A lone 0 is decimal. */
static int take_base(const char **text)
{
	static const struct {
		char letter;
		int base;
	} prefixes[] = { { 'x', 16 }, { 'o', 8 }, { 'b', 2 } };
	const char *t = *text;
	if (t[0] != '0' || t[1] == '\0')
		return 10;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if ((t[1] | 0x20) == prefixes[i].letter) {
			*text = t + 2;
			return prefixes[i].base;
		}
	*text = t + 1;
	return 8;
}

/* Digits only, to the end, within 64 bits. */
static bool parse_digits(const char *text, int base, unsigned long long *ret)
{
	char *end = NULL;
	/* strtoull takes blanks, signs and a prefix of its own. */
	if (strspn(text, "0123456789abcdefABCDEF") == 0)
		return false;
	errno = 0;
	*ret = strtoull(text, &end, base);
	return errno == 0 && *end == '\0';
}

/* An int64, or a uint64 without a sign. */
static bool add_integer(const char *text, struct strbuf *out)
{
	bool minus = *text == '-', sign = minus || *text == '+';
	unsigned long long value;
	const char *rest = text + sign;
	/* The reader's own: after 0b the sign may stand, too. */
	bool late = str_has_prefix(text, "0b") && (text[2] == '-' || text[2] == '+');
	if (late) {
		minus = text[2] == '-';
		rest = text + 3;
	}
	int base = late ? 2 : take_base(&rest);
	if (!parse_digits(rest, base, &value))
		return false;
	if (minus ? value > 1ULL << 63 : (sign || late) && value > (1ULL << 63) - 1)
		return false;
	strbuf_addf(out, "%s%llu", minus && value ? "-" : "", value);
	return true;
}

/* --- decimal fractions ------------------------------------------------------------------------ */

static bool is_exponent(const char *p)
{
	if (*p == '\0')
		return true;
	if (*p != 'e' && *p != 'E')
		return false;
	p++;
	p += *p == '-' || *p == '+';
	return *p && p[strspn(p, digits)] == '\0';
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, within the range of a double.
 * Appends it in JSON's spelling; false, and nothing appended, when text is no number. */
static bool add_decimal(const char *text, struct strbuf *out)
{
	const char *whole = text + (*text == '-' || *text == '+');
	size_t whole_len = strspn(whole, digits);
	const char *fraction = whole + whole_len, *exponent;
	fraction += *fraction == '.';
	size_t fraction_len = fraction > whole + whole_len ? strspn(fraction, digits) : 0;
	exponent = fraction + fraction_len;
	if (whole_len + fraction_len == 0 || !is_exponent(exponent) || isinf(strtod(text, NULL)))
		return false;
	/* JSON wants exactly one digit before the point if that is a zero. */
	for (; whole_len > 1 && *whole == '0'; whole_len--)
		whole++;
	strbuf_adds(out, *text == '-' ? "-" : "");
	strbuf_add(out, whole_len ? whole : "0", whole_len ? whole_len : 1);
	if (fraction_len > 0)
		strbuf_add(out, fraction - 1, fraction_len + 1);
	strbuf_adds(out, exponent);
	return true;
}

/* --- all -------------------------------------------------------------------------------------- */

static char *without_underscores(const char *text)
{
	char *plain = xstrdup(text), *to = plain;
	for (const char *from = text; *from; from++)
		if (*from != '_')
			*to++ = *from;
	*to = '\0';
	return plain;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Where a point comes first, underscores may stand between digits only; elsewhere anywhere. */
static bool underscores_fit(const char *text)
{
	for (const char *c = text; *text == '.' && *c; c++)
		if (*c == '_' && !(is_digit(c[-1]) && is_digit(c[1])))
			return false;
	return true;
}

enum number { NOT_A_NUMBER, INTEGER, FRACTION };

static enum number add_number(const char *text, struct strbuf *out)
{
	if (!strchr("+-.", *text) && !is_digit(*text))
		return NOT_A_NUMBER;
	if (!underscores_fit(text))
		return NOT_A_NUMBER;
	_cleanup_(freep) char *plain = without_underscores(text);
	if (add_integer(plain, out))
		return INTEGER;
	return add_decimal(plain, out) ? FRACTION : NOT_A_NUMBER;
}

static const char not_finite[] = "JSON has no infinity and no NaN";

const char *scalar_resolve(const char *text, struct strbuf *out)
{
	const char *word = resolve_word(text);
	if (is_not_finite(text))
		return not_finite;
	if (word)
		strbuf_adds(out, word);
	else if (add_number(text, out) == NOT_A_NUMBER)
		scalar_quote(text, out);
	return NULL;
}

const char *scalar_resolve_key(const char *text, struct strbuf *out)
{
	_cleanup_(strbuf_done) struct strbuf number = { 0 };
	const char *word = resolve_word(text);
	if (scalar_is_null(text))
		return "a key must not be null";
	if (is_not_finite(text))
		return not_finite;
	switch (word ? INTEGER : add_number(text, &number)) {
	case FRACTION:
		/* Spelled by each reader in its own way: 1000000.5 becomes 1.0000005e+06. */
		return "a key that is a number with a fraction, an exponent or more than 64 bits "
		       "must be quoted";
	case INTEGER:
		scalar_quote(word ? word : number.data, out);
		break;
	case NOT_A_NUMBER:
		scalar_quote(text, out);
		break;
	}
	return NULL;
}
