#pragma once
/* Texts that may quote URLs, made fit to be shown. any thread */

/* A new string: user, password and query of every URL in the text are left out ("?..." stays in
 * the query's place). */
char *redact_urls(const char *text);
/* The same of a text that is one URL as a whole, or none: what is left out may hold blanks and
 * quotes, too. */
char *redact_url(const char *url);
