/* The core schema, YAML 1.2.2, section 10.3.2: which plain scalars are null, booleans and numbers.
 * Note what it leaves out and YAML 1.1 had: yes, no, on, off, 0777, 1_000, 12:30:00, dates. All of
 * these but 0777 (now decimal) are strings. Numbers keep their digits; only what JSON cannot spell
 * (a plus sign, zeros in front, a bare point, other bases) is rewritten. Pure. */

#include "yaml/scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	static const char *const yes[] = { "true", "True", "TRUE", NULL };
	static const char *const no[] = { "false", "False", "FALSE", NULL };
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

static const char digits[] = "0123456789";

/* 0o17 and 0x1f, without a sign. */
static bool is_based(const char *text, int *ret_base)
{
	bool hex = strncmp(text, "0x", 2) == 0;
	if (!hex && strncmp(text, "0o", 2) != 0)
		return false;
	const char *allowed = hex ? "0123456789abcdefABCDEF" : "01234567";
	*ret_base = hex ? 16 : 8;
	return text[2] && text[2 + strspn(text + 2, allowed)] == '\0';
}

static const char *add_based(const char *text, int base, struct strbuf *out)
{
	errno = 0;
	unsigned long long value = strtoull(text + 2, NULL, base);
	if (errno == ERANGE)
		return "the number does not fit into 64 bits";
	strbuf_addf(out, "%llu", value);
	return NULL;
}

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

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, which covers decimal
 * integers too. Appends it in JSON's spelling; false, and nothing appended, when text is no number.
 */
static bool add_decimal(const char *text, struct strbuf *out)
{
	const char *whole = text + (*text == '-' || *text == '+');
	size_t whole_len = strspn(whole, digits);
	const char *fraction = whole + whole_len, *exponent;
	fraction += *fraction == '.';
	size_t fraction_len = fraction > whole + whole_len ? strspn(fraction, digits) : 0;
	exponent = fraction + fraction_len;
	if (whole_len + fraction_len == 0 || !is_exponent(exponent))
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

const char *scalar_resolve(const char *text, struct strbuf *out)
{
	int base;
	const char *word = resolve_word(text);
	if (word)
		strbuf_adds(out, word);
	else if (is_based(text, &base))
		return add_based(text, base, out);
	else if (is_not_finite(text))
		return "JSON has no infinity and no NaN";
	else if (!add_decimal(text, out))
		scalar_quote(text, out);
	return NULL;
}
