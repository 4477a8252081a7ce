/* JSON patch, RFC 6902, and JSON pointers, RFC 6901. A patch works on a copy, which takes the
 * target's place when the last operation has succeeded. Patches come from clients of our API, so
 * their number, what `copy` may multiply and the depth that results are limited. Pure. */

#include "json/patch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/internal.h"

enum {
	/* As kube-apiserver: more operations are refused. */
	OPERATIONS_MAX = 10000,
	/* Nodes that all copies of one patch may make: each copy can double the document. */
	COPIED_NODES_MAX = 100000,
	/* Nodes that one patch may look at: finding an element of a list walks along it. */
	VISITED_NODES_MAX = 10000000,
};

struct patcher {
	cJSON *root;
	size_t copied, visited;
	struct strbuf token;
	struct err *err; /* its text lacks the operation's name, which json_patch adds */
};

/* Where an operation points: a child of parent that exists or may come to exist. */
struct place {
	cJSON *parent;	/* NULL: the root itself */
	cJSON *child;	/* NULL: not there yet */
	unsigned depth; /* of parent, counted from the root */
};

/* --- pointers -------------------------------------------------------------------------------- */

/* Decodes the next "/token" of *p; false when it is malformed. */
static bool next_token(const char **p, struct strbuf *token)
{
	const char *s = *p;
	if (*s != '/')
		return false;
	strbuf_clear(token);
	strbuf_adds(token, ""); /* so that an empty token is a string too */
	for (s++; *s && *s != '/'; s++) {
		if (*s != '~') {
			strbuf_addc(token, *s);
			continue;
		}
		s++;
		if (*s != '0' && *s != '1')
			return false;
		strbuf_addc(token, *s == '0' ? '~' : '/');
	}
	*p = s;
	return true;
}

/* RFC 6901, section 4: no leading zeros. */
static bool parse_index(const char *token, size_t *ret)
{
	uint64_t value;
	if ((token[0] == '0' && token[1]) || parse_u64(token, SIZE_MAX / 2, &value) < 0)
		return false;
	*ret = (size_t)value;
	return true;
}

static cJSON *step(cJSON *node, const struct strbuf *token)
{
	size_t index;
	if (node_type(node) == cJSON_Object)
		return json_node_find(node, token->data, token->len);
	if (node_type(node) == cJSON_Array && parse_index(token->data, &index))
		return to_node(json_at_mut(to_json(node), index));
	return NULL;
}

const struct json *json_pointer_get(const struct json *j, const char *pointer)
{
	cJSON *node = (cJSON *)to_cnode(j);
	_cleanup_(strbuf_done) struct strbuf token = { 0 };
	while (node && *pointer)
		node = next_token(&pointer, &token) ? step(node, &token) : NULL;
	return to_cjson(node);
}

static int charge(struct patcher *pt, size_t nodes)
{
	pt->visited += nodes;
	if (pt->visited > VISITED_NODES_MAX)
		return err_set(pt->err, ERR_LIMIT,
			       "applying the patch would take too many operations");
	return 0;
}

/* Follows pointer; its last token stays in pt->token. The parent must exist. */
static int find_place(struct patcher *pt, const char *pointer, struct place *ret)
{
	struct place at = { .child = pt->root };
	while (*pointer) {
		at.depth += at.parent != NULL;
		at.parent = at.child;
		if (!at.parent)
			return err_set(pt->err, ERR_INVALID, "the path leads nowhere");
		if (!next_token(&pointer, &pt->token))
			return err_set(pt->err, ERR_INVALID, "the path is not a JSON pointer");
		int r = charge(pt, json_count(to_cjson(at.parent)));
		if (r < 0)
			return r;
		at.child = step(at.parent, &pt->token);
	}
	*ret = at;
	return 0;
}

static int find_existing(struct patcher *pt, const char *pointer, struct place *ret)
{
	struct place at = { 0 };
	int r = find_place(pt, pointer, &at);
	if (r < 0)
		return r;
	if (!at.child)
		return err_set(pt->err, ERR_INVALID, "the path leads nowhere");
	*ret = at;
	return 0;
}

/* --- operations ------------------------------------------------------------------------------ */

static void set_root(struct patcher *pt, cJSON *value)
{
	cJSON_Delete(pt->root);
	pt->root = value;
}

static size_t count_nodes(const cJSON *node)
{
	size_t count = 1;
	for (const cJSON *child = node->child; child; child = child->next)
		count += count_nodes(child);
	return count;
}

static int check_depth(struct patcher *pt, const struct place *at, const cJSON *value)
{
	unsigned above = at->parent ? at->depth + 1 : 0;
	if (above + node_depth(value) > JSON_DEPTH_MAX)
		return err_set(pt->err, ERR_LIMIT, "the result is nested too deeply");
	return charge(pt, count_nodes(value));
}

static int add_element(struct patcher *pt, cJSON *array, cJSON **value)
{
	size_t index, count = json_count(to_cjson(array));
	if (streq(pt->token.data, "-"))
		index = count;
	else if (!parse_index(pt->token.data, &index) || index > count)
		return err_set(pt->err, ERR_INVALID, "the list has no place \"%.32s\"",
			       pt->token.data);
	json_insert(to_json(array), index, to_json(TAKE_PTR(*value)));
	return 0;
}

/* Takes value, also on failure. */
static int add_value(struct patcher *pt, const char *path, cJSON *value)
{
	_cleanup_(node_freep) cJSON *owned = value;
	struct place at = { 0 };
	int r = find_place(pt, path, &at);
	if (r < 0)
		return r;
	r = check_depth(pt, &at, value);
	if (r < 0)
		return r;
	if (!at.parent)
		set_root(pt, TAKE_PTR(owned));
	else if (node_type(at.parent) == cJSON_Array)
		return add_element(pt, at.parent, &owned);
	else if (node_type(at.parent) != cJSON_Object)
		return err_set(pt->err, ERR_INVALID, "the path leads nowhere");
	else if (at.child)
		node_replace(at.parent, at.child, TAKE_PTR(owned));
	else
		node_add_member(at.parent, pt->token.data, TAKE_PTR(owned));
	return 0;
}

static int take_value(struct patcher *pt, const char *path, cJSON **ret)
{
	struct place at = { 0 };
	int r = find_existing(pt, path, &at);
	if (r < 0)
		return r;
	if (!at.parent)
		return err_set(pt->err, ERR_INVALID, "the whole document cannot be removed");
	*ret = node_detach(at.parent, at.child);
	return 0;
}

/* The members of one operation; all borrowed. */
struct operation {
	const char *op, *path, *from;
	const struct json *value;
};

static int op_add(struct patcher *pt, const struct operation *op)
{
	return add_value(pt, op->path, node_dup(to_cnode(op->value)));
}

static int op_remove(struct patcher *pt, const struct operation *op)
{
	_cleanup_(node_freep) cJSON *removed = NULL;
	return take_value(pt, op->path, &removed);
}

/* A member that is not there is added, as by kube-apiserver: clients have come to rely on it. */
static int op_replace(struct patcher *pt, const struct operation *op)
{
	struct place at = { 0 };
	int r = find_place(pt, op->path, &at);
	if (r == 0 && !at.child && at.parent && node_type(at.parent) == cJSON_Object)
		return add_value(pt, op->path, node_dup(to_cnode(op->value)));
	if (r == 0 && !at.child)
		r = err_set(pt->err, ERR_INVALID, "the path leads nowhere");
	if (r < 0)
		return r;
	r = check_depth(pt, &at, to_cnode(op->value));
	if (r < 0)
		return r;
	cJSON *value = node_dup(to_cnode(op->value));
	if (at.parent)
		node_replace(at.parent, at.child, value);
	else
		set_root(pt, value);
	return 0;
}

static int op_move(struct patcher *pt, const struct operation *op)
{
	struct place at = { 0 };
	int r = find_existing(pt, op->from, &at);
	if (r < 0)
		return r;
	size_t len = strlen(op->from);
	if (strncmp(op->path, op->from, len) == 0 && op->path[len] == '/')
		return err_set(pt->err, ERR_INVALID, "a value cannot move into itself");
	if (streq(op->path, op->from))
		return 0;
	cJSON *value = NULL;
	r = take_value(pt, op->from, &value);
	return r < 0 ? r : add_value(pt, op->path, value);
}

static int op_copy(struct patcher *pt, const struct operation *op)
{
	struct place at = { 0 };
	int r = find_existing(pt, op->from, &at);
	if (r < 0)
		return r;
	pt->copied += count_nodes(at.child);
	if (pt->copied > COPIED_NODES_MAX)
		return err_set(pt->err, ERR_LIMIT, "the patch copies too much");
	return add_value(pt, op->path, node_dup(at.child));
}

static int op_test(struct patcher *pt, const struct operation *op)
{
	struct place at = { 0 };
	int r = find_existing(pt, op->path, &at);
	if (r == 0)
		r = charge(pt, count_nodes(to_cnode(op->value)));
	if (r < 0)
		return r;
	if (!json_equal(to_cjson(at.child), op->value))
		return err_set(pt->err, ERR_INVALID, "the value there is another");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct patcher *pt, const struct operation *op);
	bool needs_from, needs_value;
} operations[] = {
	{ "add", op_add, false, true },		{ "remove", op_remove, false, false },
	{ "replace", op_replace, false, true }, { "move", op_move, true, false },
	{ "copy", op_copy, true, false },	{ "test", op_test, false, true },
};

static int run_operation(struct patcher *pt, const struct json *j)
{
	const struct operation op = {
		.op = json_get_string(j, "op"),
		.path = json_get_string(j, "path"),
		.from = json_get_string(j, "from"),
		.value = json_get(j, "value"),
	};
	if (!op.op || !op.path)
		return err_set(pt->err, ERR_INVALID, "needs strings \"op\" and \"path\"");
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (!streq(operations[i].name, op.op))
			continue;
		if (operations[i].needs_from && !op.from)
			return err_set(pt->err, ERR_INVALID, "needs a string \"from\"");
		if (operations[i].needs_value && !op.value)
			return err_set(pt->err, ERR_INVALID, "needs a \"value\"");
		return operations[i].run(pt, &op);
	}
	return err_set(pt->err, ERR_INVALID, "there is no such operation");
}

/* "operation 3 (replace /spec/online): the path leads nowhere" */
static int name_failure(struct patcher *pt, size_t number, const struct json *j)
{
	const char *op = json_get_string(j, "op"), *path = json_get_string(j, "path");
	return err_wrap(pt->err, "operation %zu (%.16s %.128s)", number, op ? op : "?",
			path ? path : "?");
}

static int run_operations(struct patcher *pt, const struct json *list)
{
	size_t number = 0;
	json_for_each(j, list) {
		if (++number > OPERATIONS_MAX)
			return err_set(pt->err, ERR_LIMIT, "a patch of more than %d operations",
				       OPERATIONS_MAX);
		if (run_operation(pt, j) < 0)
			return name_failure(pt, number, j);
	}
	return 0;
}

int json_patch(struct json **target, const struct json *list, struct err *err)
{
	if (!json_is_array(list))
		return err_set(err, ERR_INVALID, "a JSON patch is a list of operations");
	/* The caller may not want a text, but the kind travels in it. */
	struct err failure = { 0 };
	struct patcher pt = { .err = &failure };
	pt.root = *target ? node_dup(to_cnode(*target)) : node_new(cJSON_NULL);
	int r = run_operations(&pt, list);
	if (r == 0) {
		json_free(*target);
		*target = to_json(TAKE_PTR(pt.root));
	}
	cJSON_Delete(pt.root);
	strbuf_done(&pt.token);
	return r < 0 ? err_copy(err, &failure) : 0;
}
