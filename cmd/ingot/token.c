/* `ingot token`: who may use the API of `ingot standalone` besides its administrator. Works on the
 * data directory, whether the server runs or not, and gives each user a kubeconfig. A running
 * server looks at the file of tokens with each request, so nothing has to be told to it: a token
 * that is removed stops working at once. */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/roles.h"
#include "base/mem.h"
#include "base/str.h"
#include "commands.h"
#include "loop/loop.h"
#include "site/files.h"
#include "site/pki.h"
#include "site/token_file.h"

enum action { ACTION_ADD, ACTION_LIST, ACTION_REMOVE };

struct token_options {
	enum action action;
	const char *name;
	const char *data_dir, *role, *server;
};

static const struct option_choice verbs[] = {
	{ "add", ACTION_ADD }, { "list", ACTION_LIST }, { "remove", ACTION_REMOVE }, { NULL, 0 }
};
/* The roles of apiserver/roles.h, of which the token's line holds the name. */
static const struct option_choice roles[] = { { "admin", 0 }, { "viewer", 0 }, { NULL, 0 } };

#define FIELD(member) .offset = offsetof(struct token_options, member)

static const struct option_row rows[] = {
	{ .name = "ACTION",
	  .help = "create a token, list the tokens, or revoke one",
	  .operand = true,
	  .type = &option_choice,
	  .choices = verbs,
	  FIELD(action),
	  .required = true },
	{ .name = "NAME",
	  .help = "name of the user, with add and remove",
	  .operand = true,
	  .type = &option_text,
	  FIELD(name) },
	{ .name = "data-dir",
	  .argument = "DIR",
	  .help = "use the data directory of ingot standalone, which may be running",
	  .type = &option_path,
	  FIELD(data_dir),
	  .required = true },
	{ .name = "role",
	  .argument = "ROLE",
	  .standard = "viewer",
	  .help = "with add: give the user this role",
	  .type = &option_word,
	  .choices = roles,
	  FIELD(role) },
	{ .name = "server",
	  .argument = "URL",
	  .help = "with add: write this URL of the API into the user's kubeconfig; default: that of DIR/kubeconfig",
	  .type = &option_text,
	  FIELD(server) },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 }, { NULL, NULL, 0 } };

/* Beside the server's own, closed like it; the administrator hands it over and deletes it here. */
static char *kubeconfig_of(const struct token_options *o)
{
	return xasprintf("%s/%s.kubeconfig", o->data_dir, o->name);
}

/* --- add -------------------------------------------------------------------------------------- */

/* What the server wrote at its last start. */
static int find_server(const struct token_options *o, char **ret, struct err *err)
{
	static const char key[] = "\n    server: ";
	_cleanup_(freep) char *path = xasprintf("%s/kubeconfig", o->data_dir);
	_cleanup_(secret_freep) char *text = NULL;
	if (o->server) {
		*ret = xstrdup(o->server);
		return 0;
	}
	int r = site_files_read_secret(path, &text, err);
	if (r < 0)
		return err_wrap(err, "start `ingot standalone` once, or give --server");
	const char *found = strstr(text, key);
	if (!found)
		return err_set(err, ERR_INVALID, "%s names no server: give --server", path);
	found += sizeof(key) - 1;
	*ret = xstrndup(found, strcspn(found, "\n"));
	return 0;
}

/* With the CA in it: nothing else has to be given to the user. */
static int write_kubeconfig(const struct token_options *o, const char *token, struct err *err)
{
	_cleanup_(freep) char *ca_path = xasprintf("%s/pki/ca.crt", o->data_dir), *url = NULL;
	_cleanup_(freep) char *ca = NULL, *path = kubeconfig_of(o);
	int r = find_server(o, &url, err);
	if (r == 0)
		r = site_files_read_secret(ca_path, &ca, err);
	if (r < 0)
		return r;
	_cleanup_(secret_freep) char *text = site_pki_kubeconfig_for_token(ca, url, o->name, token);
	return site_files_write_secret(path, text, err);
}

/* The loop owns clock and random source; nothing runs on it. */
static int new_token(const struct token_options *o, struct tokens *t, char **ret, struct err *err)
{
	unsigned char random[TOKEN_RANDOM];
	struct loop *loop;
	int r = loop_new(&loop, err);
	if (r < 0)
		return r;
	loop_random(loop, random, sizeof(random));
	r = tokens_add(t, o->name, o->role, random, loop_wall(loop), ret, err);
	secret_zero(random, sizeof(random));
	loop_free(loop);
	return r;
}

/* The kubeconfig first: without its line in the file it opens nothing. */
static int add(const struct token_options *o, struct tokens *t, struct err *err)
{
	_cleanup_(secret_freep) char *token = NULL;
	_cleanup_(freep) char *path = kubeconfig_of(o);
	int r = new_token(o, t, &token, err);
	if (r == 0)
		r = write_kubeconfig(o, token, err);
	if (r == 0)
		r = site_token_file_write(o->data_dir, t, err);
	if (r == 0)
		printf("%s may use the API as %s; kubectl --kubeconfig %s get bmh\n", o->name,
		       o->role, path);
	return r;
}

/* --- the others ------------------------------------------------------------------------------- */

/* No token can be shown: they are not kept. */
static int list(const struct token_options *o, struct tokens *t, struct err *err)
{
	char made[CLOCK_TEXT_MAX];
	(void)o, (void)err;
	printf("%-30s %-8s %s\n", "NAME", "ROLE", "CREATED");
	for (size_t i = 0; i < t->count; i++)
		printf("%-30s %-8s %s\n", t->items[i].name, t->items[i].role,
		       clock_format(t->items[i].made, made));
	return 0;
}

/* The token first: it is what must stop to work. */
static int drop(const struct token_options *o, struct tokens *t, struct err *err)
{
	_cleanup_(freep) char *path = kubeconfig_of(o);
	if (!tokens_remove(t, o->name))
		return err_set(err, ERR_NOT_FOUND, "%s has no token", o->name);
	int r = site_token_file_write(o->data_dir, t, err);
	if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = err_set_errno(err, errno, "the token is revoked, but its kubeconfig %s stays",
				  path);
	return r;
}

/* What the table of options cannot say: which verbs need a name. */
static const struct {
	bool named; /* takes a NAME */
	int (*run)(const struct token_options *o, struct tokens *t, struct err *err);
} actions[] = {
	[ACTION_ADD] = { true, add },
	[ACTION_LIST] = { false, list },
	[ACTION_REMOVE] = { true, drop },
};

/* Two commands at the same time would each lose what the other does. */
static int run_locked(const struct token_options *o, struct err *err)
{
	_cleanup_(tokens_done) struct tokens t = { 0 };
	int lock;
	int r = site_files_become_owner(o->data_dir, err);
	if (r < 0)
		return r;
	r = site_files_wait_lock(o->data_dir, "tokens.lock", &lock, err);
	if (r < 0)
		return r;
	r = site_token_file_read(o->data_dir, &t, err);
	if (r == 0)
		r = actions[o->action].run(o, &t, err);
	close(lock);
	return r;
}

static int run(void *data)
{
	const struct token_options *o = data;
	struct err err;
	if (actions[o->action].named != (o->name != NULL)) {
		fprintf(stderr, "ingot token: add NAME, list or remove NAME\n");
		return EXIT_USAGE;
	}
	if (run_locked(o, &err) == 0)
		return EXIT_OK;
	fprintf(stderr, "ingot token: %s\n", err.text);
	return EXIT_FAILED;
}

const struct command token_command = {
	.name = "token",
	.summary = "manage the users of the standalone API (bearer tokens)",
	.options = tables,
	.options_size = sizeof(struct token_options),
	.run = run,
};
