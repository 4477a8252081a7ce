/* The tokens file's text (see tokens.h). A line that makes no sense makes the whole text invalid:
 * who cannot read a list of rights gives none. */

#include "apiserver/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/roles.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/str.h"

enum { FIELDS = 4, SHA256_HEX = 64 };

static const char heading[] = "# Users by token. Written by `ingot token`; the tokens themselves "
			      "are not kept.\n";
/* Says where a token comes from, to who finds it in a log or a repository. */
static const char mark[] = "ingot_";

static void token_done(struct token *t)
{
	free(t->name);
	free(t->role);
}

void tokens_done(struct tokens *t)
{
	for (size_t i = 0; i < t->count; i++)
		token_done(&t->items[i]);
	free(t->items);
	*t = (struct tokens){ 0 };
}

static struct token *find_name(const struct tokens *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (streq(t->items[i].name, name))
			return &t->items[i];
	return NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Cuts the line in place. */
static bool split(char *line, char *fields[FIELDS])
{
	char *rest = line;
	for (int i = 0; i < FIELDS; i++) {
		fields[i] = strsep(&rest, " ");
		if (str_empty(fields[i]))
			return false;
	}
	return !rest;
}

/* Upper case would never be found: digests are compared as text. */
static bool is_hash(const char *s)
{
	return strlen(s) == SHA256_HEX && strspn(s, "0123456789abcdef") == SHA256_HEX;
}

/* NULL, or what is wrong with it: no part of the line, which may be a token put there by mistake.
 */
static const char *read_line(char *line, struct tokens *t)
{
	char *fields[FIELDS];
	usec_t made;
	if (!split(line, fields))
		return "does not have four words";
	if (!name_is_subdomain(fields[0]) || find_name(t, fields[0]))
		return "begins with a name that is invalid, or stands twice";
	if (!role_group(fields[1]))
		return "names no role";
	if (!is_hash(fields[2]) || clock_parse(fields[3], &made) < 0)
		return "holds no SHA-256 and time";
	if (t->count == TOKENS_MAX)
		return "is one too many";
	t->items = xreallocarray(t->items, t->count + 1, sizeof(*t->items));
	struct token *token = &t->items[t->count++];
	*token = (struct token){ .name = xstrdup(fields[0]),
				 .role = xstrdup(fields[1]),
				 .made = made };
	memcpy(token->hash, fields[2], SHA256_HEX + 1);
	return NULL;
}

int tokens_parse(const char *text, struct tokens *ret, struct err *err)
{
	struct tokens t = { 0 };
	_cleanup_(freep) char *copy = xstrdup(text);
	char *rest = copy;
	size_t number = 0;
	for (char *line; (line = strsep(&rest, "\n"));) {
		number++;
		const char *wrong = *line && *line != '#' ? read_line(line, &t) : NULL;
		if (!wrong)
			continue;
		tokens_done(&t);
		return err_set(err, ERR_INVALID, "line %zu %s", number, wrong);
	}
	*ret = t;
	return 0;
}

char *tokens_format(const struct tokens *t)
{
	struct strbuf text = { 0 };
	char made[CLOCK_TEXT_MAX];
	strbuf_adds(&text, heading);
	for (size_t i = 0; i < t->count; i++)
		strbuf_addf(&text, "%s %s %s %s\n", t->items[i].name, t->items[i].role,
			    t->items[i].hash, clock_format(t->items[i].made, made));
	return strbuf_take(&text, NULL);
}

/* --- use -------------------------------------------------------------------------------------- */

/* The digest of what was given is compared, so that even a comparison that leaked its progress
 * would tell of a digest only. All are looked at. */
const struct token *tokens_find(const struct tokens *t, const char *given)
{
	const struct token *found = NULL;
	char hash[DIGEST_HEX_MAX];
	digest_hex(DIGEST_SHA256, given, strlen(given), hash);
	for (size_t i = 0; i < t->count; i++)
		if (str_equal_secret(t->items[i].hash, hash))
			found = &t->items[i];
	return found;
}

/* One token a name: whoever revokes a name can be sure that nothing of it is left. */
int tokens_add(struct tokens *t, const char *name, const char *role,
	       const unsigned char random[TOKEN_RANDOM], usec_t wall, char **ret, struct err *err)
{
	if (!name_is_subdomain(name))
		return err_set(
			err, ERR_INVALID,
			"\"%s\" is not a valid name: use lower-case letters, digits, '-' and '.'",
			name);
	if (!role_group(role))
		return err_set(err, ERR_INVALID, "unknown role \"%s\": use %s", role, role_names);
	if (find_name(t, name))
		return err_set(err, ERR_EXISTS, "%s has a token; remove that one first", name);
	if (t->count == TOKENS_MAX)
		return err_set(err, ERR_LIMIT, "there are %d tokens, and no more can be",
			       TOKENS_MAX);
	_cleanup_(secret_freep) char *text = base64url_encode(random, TOKEN_RANDOM);
	char *token = xasprintf("%s%s", mark, text);
	t->items = xreallocarray(t->items, t->count + 1, sizeof(*t->items));
	struct token *added = &t->items[t->count++];
	*added = (struct token){ .name = xstrdup(name), .role = xstrdup(role), .made = wall };
	digest_hex(DIGEST_SHA256, token, strlen(token), added->hash);
	*ret = token;
	return 0;
}

bool tokens_remove(struct tokens *t, const char *name)
{
	struct token *found = find_name(t, name);
	if (!found)
		return false;
	token_done(found);
	size_t behind = (size_t)(t->items + --t->count - found);
	memmove(found, found + 1, behind * sizeof(*found));
	return true;
}
