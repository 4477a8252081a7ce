#pragma once
/* Bearer tokens as a text that is kept in a file: one line each,
 *
 *   NAME ROLE SHA256-OF-THE-TOKEN MADE-AT
 *
 * Tokens hold 256 random bits, so a plain digest gives nothing away. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "crypt/crypt.h"

enum {
	TOKENS_MAX = 1024,
	TOKEN_RANDOM = 32, /* bytes that the caller brings for a new one */
};

struct token {
	char *name;		   /* of the user, an RFC 1123 subdomain */
	char *role;		   /* that roles.h knows */
	char hash[DIGEST_HEX_MAX]; /* SHA-256, lower-case hex */
	usec_t made;		   /* wall */
};

struct tokens {
	struct token *items; /* in the file's order */
	size_t count;
};

void tokens_done(struct tokens *t);
/* "": none. Errors name the line. Comment lines begin with '#'. */
int tokens_parse(const char *text, struct tokens *ret, struct err *err);
char *tokens_format(const struct tokens *t);
/* Whose it is; NULL: nobody's. The time says nothing about which one came close. */
const struct token *tokens_find(const struct tokens *t, const char *given);
/* *ret is the token, which is kept nowhere; zeroed by secret_free. A name that has one already is
 * refused (ERR_EXISTS). */
int tokens_add(struct tokens *t, const char *name, const char *role,
	       const unsigned char random[TOKEN_RANDOM], usec_t wall, char **ret, struct err *err);
/* False: there is none of that name. */
bool tokens_remove(struct tokens *t, const char *name);
