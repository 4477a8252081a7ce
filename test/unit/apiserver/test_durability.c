/* kill -9 at any moment: what was answered is there afterwards, and versions go on. */

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/apiserver/harness.h"

/* Answers go through a pipe, so that the parent knows what was promised. */
struct promise {
	int number;
	int status;
};

static int pipe_fd;

static void tell(void *front, int status, const char *content_type, const char *body, size_t len)
{
	(void)content_type, (void)len;
	if (status != 201)
		fprintf(stderr, "%s", body);
	struct promise p = { (int)(intptr_t)front, status };
	if (write(pipe_fd, &p, sizeof(p)) != (ssize_t)sizeof(p))
		_exit(3);
}

static const struct api_front_ops telling = { .reply = tell };

static void write_for_ever(struct server *s, int first)
{
	for (int i = first;; i++) {
		char *body = xasprintf(
			"{\"metadata\":{\"name\":\"c%d\"},\"data\":{\"x\":\"%0500d\"}}", i, i);
		struct api_request request = { .method = "POST",
					       .path = CONFIGS,
					       .query = "",
					       .content_type = "",
					       .accept = "",
					       .user = "",
					       .groups = "system:masters",
					       .body = body,
					       .body_len = strlen(body) };
		apiserver_handle(s->api, &request, &telling, (void *)(intptr_t)i);
		free(body);
		/* Batches of changing size. */
		if (i % 7 == 0 || i % 11 == 0)
			settle(s);
	}
}

static void child(const char *path, int first)
{
	struct server s = { .loop = loop_new_virtual(1, TEST_WALL) };
	struct err err;
	if (open_server(&s, path, &err) < 0)
		_exit(2);
	write_for_ever(&s, first);
}

static bool exists(struct server *s, int number)
{
	char *target = xasprintf(CONFIGS "/c%d", number);
	ask(s, "GET", target, NULL);
	free(target);
	return last.status == 200;
}

static void check(const char *path, const bool *promised, int count, uint64_t *version)
{
	struct server s = { .loop = loop_new_virtual(2, TEST_WALL) };
	struct err err;
	if (open_server(&s, path, &err) < 0)
		fail_msg("%s", err.text);
	for (int i = 0; i < count; i++)
		if (promised[i])
			assert_true(exists(&s, i));
	uint64_t now;
	ask(&s, "GET", CONFIGS "?limit=1", NULL);
	assert_int_equal(
		parse_u64(text_of(last.json, "metadata.resourceVersion"), UINT64_MAX, &now), 0);
	assert_true(now >= *version);
	*version = now;
	apiserver_free(s.api);
	loop_free(s.loop);
}

static void test_promises_survive_kill(void **state)
{
	(void)state;
	enum { MAX_NUMBER = 100000, ROUNDS = 4 };
	char dir[] = "/tmp/ingot-kill-XXXXXX";
	bool *promised = calloc(MAX_NUMBER, sizeof(*promised));
	uint64_t version = 0;
	int next = 0;
	assert_non_null(mkdtemp(dir));
	char *path = xasprintf("%s/store.db", dir);
	for (int round = 0; round < ROUNDS; round++) {
		int fds[2], status, answers = 0;
		struct promise p;
		assert_int_equal(pipe(fds), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(fds[0]);
			pipe_fd = fds[1];
			child(path, next);
		}
		close(fds[1]);
		while (read(fds[0], &p, sizeof(p)) == (ssize_t)sizeof(p)) {
			assert_int_equal(p.status, 201);
			promised[p.number] = true;
			next = p.number + 1;
			if (++answers == 60 + 31 * round)
				kill(pid, SIGKILL);
		}
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		check(path, promised, next, &version);
		next += 1000; /* past what may have been written without an answer */
	}
	char *command = xasprintf("rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	free(command);
	free(path);
	free(promised);
	answer_done(&last);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#define GADGET                                                                                     \
	"{'metadata':{'name':'gadgets.test.ingot.dev'},'spec':{'group':'test.ingot.dev',"          \
	"'scope':'Cluster','names':{'plural':'gadgets','kind':'Gadget'},'versions':[{'name':'v1'," \
	"'served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object'}}}]}}"

/* A batch that cannot be written is refused as a whole: answers, kinds and events. */
static void test_full_disk(void **state)
{
	(void)state;
	char dir[] = "/tmp/ingot-full-XXXXXX";
	struct server s = { .loop = loop_new_virtual(3, TEST_WALL) };
	struct answer kind = { 0 }, big = { 0 }, read = { 0 }, watch = { 0 };
	struct err err;
	assert_non_null(mkdtemp(dir));
	char *path = xasprintf("%s/store.db", dir);
	assert_int_equal(open_server(&s, path, &err), 0);
	send_as(&s, "GET", CONFIGS "?watch=1", "", "", NULL, &watch);
	settle(&s);
	struct strbuf body = { 0 };
	strbuf_adds(&body, "{'metadata':{'name':'big'},'data':{'x':'");
	while (body.len < 1000 * 1000)
		strbuf_adds(&body, "0123456789abcdef");
	strbuf_adds(&body, "'}}");
	limit_files(512 * 1024);
	send_as(&s, "POST", CRDS, "", "", GADGET, &kind);
	send_as(&s, "POST", CONFIGS, "", "", body.data, &big);
	send_as(&s, "GET", "/apis/test.ingot.dev/v1/gadgets", "", "", NULL, &read);
	settle(&s);
	limit_files(RLIM_INFINITY);
	assert_int_equal(kind.status, 500);
	assert_int_equal(big.status, 500);
	assert_int_equal(read.status, 500);
	assert_text(kind.json, "reason", "InternalError");
	assert_non_null(strstr(text_of(big.json, "message"), path));
	ask(&s, "GET", "/apis/test.ingot.dev/v1/gadgets", NULL);
	assert_status(404);
	assert_int_equal(json_count(watch.events), 0);
	/* Once there is room again, all goes on. */
	ask(&s, "POST", CONFIGS, body.data);
	assert_status(201);
	ask(&s, "POST", CRDS, GADGET);
	assert_status(201);
	ask(&s, "GET", "/apis/test.ingot.dev/v1/gadgets", NULL);
	assert_status(200);
	assert_int_equal(json_count(watch.events), 1);
	apiserver_free(s.api);
	loop_free(s.loop);
	char *command = xasprintf("rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	free(command);
	free(path);
	strbuf_done(&body);
	answer_done(&kind);
	answer_done(&big);
	answer_done(&read);
	answer_done(&watch);
	answer_done(&last);
}

/* A server that cannot start says why. */
static void test_refusals(void **state)
{
	(void)state;
	struct server s = { .loop = loop_new_virtual(1, TEST_WALL) };
	struct err err;
	const char *broken[] = { "{\"kind\":", NULL };
	const char *invalid[] = { "{\"metadata\":{\"name\":\"x\"},\"spec\":{}}", NULL };
	struct apiserver_options options = { .loop = s.loop, .path = ":memory:", .crds = broken };
	assert_true(apiserver_new(&options, &s.api, &err) < 0);
	assert_non_null(strstr(err.text, "definition of a kind"));
	options.crds = invalid;
	assert_true(apiserver_new(&options, &s.api, &err) < 0);
	assert_non_null(strstr(err.text, "cannot install the definition x"));
	options.crds = NULL;
	options.path = "/nowhere/at/all/store.db";
	assert_true(apiserver_new(&options, &s.api, &err) < 0);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	loop_free(s.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promises_survive_kill),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
