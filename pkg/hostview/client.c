/* Connection of ingotctl (see client.h). One look is three questions at the same time: hosts, their
 * records, the engine. Without the first there is nothing to show; the other two may be missing (no
 * rights, another machine), and what they tell is then left out. */

#include "hostview/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "hostview/local.h"
#include "http/http.h"
#include "kube/config.h"
#include "kube/http_transport.h"

/* More than a controller takes: somebody waits for the end of it, and it has one. */
enum { DEBUG_MAX = 64 << 20, API_QPS = 200, API_BURST = 400 };

const struct kube_resource hostview_hosts = { "metal3.io", "v1alpha1", "baremetalhosts",
					      "BareMetalHost", KUBE_PER_HOST };
const struct kube_resource hostview_records = { "ingot.dev", "v1alpha1", "hostrecords",
						"HostRecord", KUBE_PER_HOST };

/* --- opening ---------------------------------------------------------------------------------- */

/* Where `ingot standalone` puts it. Nothing else is guessed. */
static char *socket_beside(const char *kubeconfig)
{
	const char *path = str_or(kubeconfig, getenv("KUBECONFIG"));
	const char *slash = path ? strrchr(path, '/') : NULL;
	if (!path || !*path || strchr(path, ':'))
		return NULL;
	char *socket = xasprintf("%.*sdebug.sock", slash ? (int)(slash + 1 - path) : 0, path);
	if (access(socket, F_OK) == 0)
		return socket;
	free(socket);
	return NULL;
}

static int connect_api(struct hostview *c, const struct hostview_options *o, const char *kubeconfig,
		       struct err *err)
{
	struct kube_config config = { 0 };
	int r = kube_config_load(kubeconfig, o->context, &config, err);
	if (r < 0 && kubeconfig != o->kubeconfig)
		err_wrap(err, "the standalone Ingot of this machine (name another API server by "
			      "--kubeconfig, or run this as root)");
	if (r < 0)
		return r;
	if (!o->all)
		c->ns = xstrdup(o->ns ? o->ns : str_or(config.ns, "default"));
	r = kube_http_transport_new(c->loop, &config, "ingotctl/" INGOT_VERSION, &c->transport,
				    err);
	kube_config_release(&config);
	if (r == 0)
		c->client = kube_client_new(
			&(struct kube_client_options){ .loop = c->loop,
						       .transport = c->transport,
						       .qps = API_QPS,
						       .burst = API_BURST });
	return r;
}

int hostview_open(const struct hostview_options *options, struct hostview **ret, struct err *err)
{
	struct hostview *c = xcalloc(1, sizeof(*c));
	_cleanup_(freep) char *local = options->kubeconfig || local_has_other()
					       ? NULL
					       : local_kubeconfig("");
	const char *kubeconfig = local ? local : options->kubeconfig;
	c->debug = options->debug ? xstrdup(options->debug) : socket_beside(kubeconfig);
	int r = loop_new(&c->loop, err);
	if (r == 0)
		r = http_client_new(
			c->loop,
			&(struct http_client_options){ .user_agent = "ingotctl/" INGOT_VERSION },
			&c->http, err);
	if (r == 0)
		r = connect_api(c, options, kubeconfig, err);
	if (r < 0) {
		hostview_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct hostview *hostview_close(struct hostview *c)
{
	if (!c)
		return NULL;
	kube_client_free(c->client);
	if (c->transport)
		c->transport->ops->free(c->transport);
	http_client_free(c->http);
	loop_free(c->loop);
	free(c->ns);
	free(c->debug);
	free(c);
	return NULL;
}

/* --- strings for a terminal ------------------------------------------------------------------- */

/* C0, DEL, and C1 in its UTF-8 form. */
static size_t control_at(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	if (u[0] < 0x20 || u[0] == 0x7f)
		return 1;
	return u[0] == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f ? 2 : 0;
}

static char *clean_text(const char *s)
{
	struct strbuf out = { 0 };
	for (size_t n; *s; s += n ? n : 1) {
		n = control_at(s);
		strbuf_addc(&out, n == 0 ? *s : *s == '\n' || *s == '\t' ? ' ' : '?');
	}
	return strbuf_take(&out, NULL);
}

static bool is_clean(const char *s)
{
	while (*s && control_at(s) == 0)
		s++;
	return *s == '\0';
}

void hostview_clean(struct json *tree)
{
	for (struct json *child = json_first_mut(tree), *next; child; child = next) {
		const char *text = json_string(child);
		next = json_next_mut(child);
		if (text && json_key(child) && !is_clean(text)) {
			_cleanup_(freep) char *key = xstrdup(json_key(child));
			_cleanup_(freep) char *cleaned = clean_text(text);
			json_set_string(tree, key, cleaned);
		} else {
			hostview_clean(child);
		}
	}
}

/* --- the debug socket ------------------------------------------------------------------------- */

struct hostview_question {
	struct http_op *op;
	hostview_debug_fn done;
	void *data;
};

static int parse_debug(const struct http_response *r, const char *body, size_t len,
		       struct json **ret, struct err *err)
{
	int n = json_parse(body, len, ret, err);
	if (n < 0)
		return err_wrap(err, "debug socket");
	hostview_clean(*ret);
	if (r->status == 200)
		return 0;
	return err_set_code(err, r->status == 404 ? ERR_NOT_FOUND : ERR_PROTOCOL, r->status,
			    "debug socket: %s",
			    str_or(json_get_string(*ret, "error"), "an answer without a reason"));
}

static void on_debug(void *data, const struct err *err, const struct http_response *r,
		     const char *body, size_t len)
{
	struct hostview_question q = *(struct hostview_question *)data;
	_cleanup_(json_freep) struct json *answer = NULL;
	struct err own = { 0 };
	free(data);
	if (err) {
		own = *err;
		err_wrap(&own, "debug socket");
	} else if (parse_debug(r, body, len, &answer, &own) < 0) {
		answer = json_free(answer);
	}
	q.done(q.data, answer ? NULL : &own, &answer);
}

static struct hostview_question *ask_socket(struct hostview *c, const char *path,
					    hostview_debug_fn done, void *data)
{
	static const struct http_handlers handlers = { .done = on_debug };
	_cleanup_(freep) char *url = xasprintf("http://ingot%s", path);
	struct hostview_question *q = xmalloc(sizeof(*q));
	*q = (struct hostview_question){ .done = done, .data = data };
	q->op = http_start(c->http,
			   &(struct http_request){ .url = url,
						   .unix_socket = c->debug,
						   .timeout = 5 * USEC_PER_SEC,
						   .max_body_bytes = DEBUG_MAX },
			   &handlers, q, NULL);
	return q;
}

struct hostview_question *hostview_debug_get(struct hostview *c, const char *ns, const char *name,
					     hostview_debug_fn done, void *data)
{
	_cleanup_(freep) char *path = xasprintf("/hosts/%s/%s", ns, name);
	return ask_socket(c, path, done, data);
}

struct hostview_question *hostview_debug_cancel(struct hostview_question *q)
{
	if (q)
		http_cancel(q->op);
	free(q);
	return NULL;
}

/* --- a look ----------------------------------------------------------------------------------- */

struct look {
	struct hostview *ctl;
	const char *name;
	struct hostview_look *out;
	struct err err;
	unsigned waiting;
};

static void answered(struct look *l)
{
	if (--l->waiting == 0)
		loop_stop(l->ctl->loop);
}

/* A list's items, or the object alone; an array either way. */
static struct json *items_of(struct json **answer)
{
	struct json *items = json_take(*answer, "items");
	if (!items) {
		items = json_new_array();
		json_append(items, TAKE_PTR(*answer));
	}
	hostview_clean(items);
	return items;
}

static void on_hosts(void *data, const struct err *err, struct json **answer)
{
	struct look *l = data;
	if (err)
		l->err = *err;
	else
		l->out->hosts = items_of(answer);
	answered(l);
}

static void on_records(void *data, const struct err *err, struct json **answer)
{
	struct look *l = data;
	l->out->records = err ? json_new_array() : items_of(answer);
	answered(l);
}

static void on_engine(void *data, const struct err *err, struct json **body)
{
	struct look *l = data;
	if (err) {
		l->out->debug_err = *err;
	} else if (l->name) {
		l->out->debug = json_new_array();
		json_append(l->out->debug, TAKE_PTR(*body));
	} else {
		l->out->debug = json_take(*body, "hosts");
		l->out->strangers = json_take(*body, "strangers");
	}
	answered(l);
}

static void ask_api(struct look *l, const struct kube_resource *r, kube_done_fn done)
{
	struct hostview *c = l->ctl;
	l->waiting++;
	if (l->name)
		kube_get(c->client, r, c->ns, l->name, done, l);
	else
		kube_list(c->client, r, c->ns, &(struct kube_list_options){ 0 }, done, l);
}

static void ask_engine(struct look *l)
{
	struct hostview *c = l->ctl;
	if (!c->debug)
		return;
	l->waiting++;
	if (l->name)
		hostview_debug_get(c, c->ns, l->name, on_engine, l);
	else
		ask_socket(c, "/hosts", on_engine, l);
}

static int explain(const struct look *l, struct err *err)
{
	err_copy(err, &l->err);
	if (l->err.kind == ERR_NOT_FOUND && l->name)
		return err_set(
			err, ERR_NOT_FOUND,
			"no BareMetalHost %s in namespace %s; `ingotctl status -A` lists all",
			l->name, l->ctl->ns);
	return err_value(&l->err);
}

int hostview_look(struct hostview *c, const char *name, struct hostview_look *ret, struct err *err)
{
	*ret = (struct hostview_look){ 0 };
	if (name && !c->ns)
		return err_set(err, ERR_INVALID,
			       "one host is in one namespace: use -n NAMESPACE, not -A");
	struct look l = { .ctl = c, .name = name, .out = ret };
	ask_api(&l, &hostview_hosts, on_hosts);
	ask_api(&l, &hostview_records, on_records);
	ask_engine(&l);
	loop_run(c->loop);
	if (l.err.kind == ERR_NONE)
		return 0;
	hostview_look_done(ret);
	return explain(&l, err);
}

void hostview_look_done(struct hostview_look *l)
{
	l->hosts = json_free(l->hosts);
	l->records = json_free(l->records);
	l->debug = json_free(l->debug);
	l->strangers = json_free(l->strangers);
}

const struct json *hostview_find(const struct json *array, const char *ns, const char *name)
{
	json_for_each(o, array) {
		if (streq(kube_name(o), name) && streq(kube_namespace(o), ns))
			return o;
	}
	return NULL;
}

const struct json *hostview_find_debug(const struct json *array, const char *ns, const char *name)
{
	_cleanup_(freep) char *key = xasprintf("%s/%s", ns, name);
	json_for_each(row, array) {
		if (streq(json_get_string(row, "host"), key))
			return row;
	}
	return NULL;
}
