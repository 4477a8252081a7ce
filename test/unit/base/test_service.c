/* Parts of a process: their order, what each phase calls, and the end in reverse. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/service.h"
#include "base/str.h"

enum { ROLE_BOOT = 1, ROLE_CLUSTER = 2 };

struct log {
	struct strbuf text;
	service_done_fn done; /* of a drain that waits */
	void *done_data;
	int fail; /* what "engine" answers when it is to lead */
};

static void say(void *data, const char *word)
{
	struct log *l = data;
	strbuf_addf(&l->text, "%s%s", l->text.len ? " " : "", word);
}

#define PART(n)                                                                                    \
	static int n##_open(void *data, struct err *err)                                           \
	{                                                                                          \
		(void)err;                                                                         \
		say(data, "open-" #n);                                                             \
		return 0;                                                                          \
	}                                                                                          \
	static void n##_silence(void *data)                                                        \
	{                                                                                          \
		say(data, "silence-" #n);                                                          \
	}                                                                                          \
	static void n##_free(void *data)                                                           \
	{                                                                                          \
		say(data, "free-" #n);                                                             \
	}
PART(engine)
PART(api)
PART(boot)
PART(lease)

static int engine_lead(void *data, struct err *err)
{
	struct log *l = data;
	say(data, "lead-engine");
	return l->fail ? err_set(err, ERR_IO, "no engine") : 0;
}

static int boot_lead(void *data, struct err *err)
{
	(void)err;
	say(data, "lead-boot");
	return 0;
}

static void engine_drain(void *data, service_done_fn done, void *done_data)
{
	struct log *l = data;
	say(data, "drain-engine");
	l->done = done;
	l->done_data = done_data;
}

static void api_drain(void *data, service_done_fn done, void *done_data)
{
	say(data, "drain-api");
	done(done_data);
}

#define LIFE(n)                                                                                    \
	.name = #n, .phases[SERVICE_OPEN] = n##_open, .silence = n##_silence, .free = n##_free

static const struct service boot = { LIFE(boot), .roles = ROLE_BOOT, .needs = { "engine" },
				     .phases[SERVICE_LEAD] = boot_lead };
static const struct service engine = { LIFE(engine), .needs = { "api", "lease" },
				       .phases[SERVICE_LEAD] = engine_lead, .drain = engine_drain };
static const struct service api = { LIFE(api), .drain = api_drain };
static const struct service lease = { LIFE(lease), .roles = ROLE_CLUSTER, .needs = { "api" } };
static const struct service *const table[] = { &boot, &engine, &lease, &api, NULL };

static void check_log(struct log *l, const char *expected)
{
	assert_string_equal(str_or(l->text.data, ""), expected);
	strbuf_clear(&l->text);
}

static void on_drained(void *data)
{
	say(data, "drained");
}

static void test_order(void **state)
{
	struct log l = { .fail = 0 };
	(void)state;
	struct services *s = services_new(table, ROLE_BOOT | ROLE_CLUSTER, &l);
	assert_int_equal(services_run(s, SERVICE_OPEN, NULL), 0);
	check_log(&l, "open-api open-lease open-engine open-boot");
	assert_int_equal(services_run(s, SERVICE_LEAD, NULL), 0);
	check_log(&l, "lead-engine lead-boot");
	assert_int_equal(services_run(s, SERVICE_SERVE, NULL), 0);
	check_log(&l, "");
	services_free(s);
	check_log(&l, "silence-boot silence-engine silence-lease silence-api free-boot free-engine "
		      "free-lease free-api");
	strbuf_done(&l.text);
}

/* A process without boot and cluster has two parts; its end waits for one of them. */
static void test_end(void **state)
{
	struct log l = { .fail = 0 };
	(void)state;
	struct services *s = services_new(table, 0, &l);
	assert_string_equal(services_name(s, 0), "api");
	assert_string_equal(services_name(s, 1), "engine");
	assert_null(services_name(s, 2));
	services_drain(s, on_drained, &l);
	check_log(&l, "silence-engine silence-api drain-engine");
	l.done(l.done_data);
	check_log(&l, "drain-api drained");
	services_free(s);
	check_log(&l, "free-engine free-api");
	strbuf_done(&l.text);
}

static void test_failure(void **state)
{
	struct log l = { .fail = 1 };
	struct err err = { 0 };
	(void)state;
	struct services *s = services_new(table, ROLE_BOOT, &l);
	assert_true(services_run(s, SERVICE_LEAD, &err) < 0);
	assert_string_equal(err.text, "no engine");
	check_log(&l, "lead-engine");
	services_free(s);
	strbuf_done(&l.text);
}

static void test_faults_of_tables(void **state)
{
	static const struct service a = { .name = "a", .needs = { "c" } },
				    b = { .name = "b", .needs = { "a" } },
				    c = { .name = "c", .needs = { "b" } },
				    d = { .name = "d", .needs = { "nothing" } };
	const struct service *circle[] = { &a, &b, &c }, *missing[] = { &d };
	(void)state;
	assert_int_equal(services_sort(circle, 3), -ELOOP);
	assert_int_equal(services_sort(missing, 1), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_faults_of_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
