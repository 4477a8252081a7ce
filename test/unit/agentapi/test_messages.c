/* Answers of agents as stock ones give them (ironic-python-agent 10.2 and 13). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agentapi/messages.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/parse.h"

#define COMMAND(status, error)                                                                     \
	"{\"id\": \"1\", \"command_name\": \"execute_deploy_step\", \"command_status\": \"" status \
	"\", \"command_error\": " error ", \"command_result\": null}"

/* The words of a failed command: its kind, then what happened, each once. */
static void test_errors(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *says;
	} rows[] = {
		{ COMMAND("FAILED",
			  "{\"type\": \"ImageDownloadError\", \"code\": 500, \"message\": "
			  "\"Error downloading image\", \"details\": \"Download of image id d failed: 404\"}"),
		  "Error downloading image: Download of image id d failed: 404" },
		{ COMMAND("FAILED",
			  "{\"type\": \"ImageChecksumError\", \"code\": 500, \"message\": "
			  "\"Error verifying image checksum\", \"details\": \"Error verifying image "
			  "checksum: 1 is not 2\"}"),
		  "Error verifying image checksum: 1 is not 2" },
		{ COMMAND("FAILED", "{\"message\": \"Deploy step failed\", \"details\": \"\"}"),
		  "Deploy step failed" },
		{ COMMAND("FAILED", "{\"error\": \"no such device\"}"), "no such device" },
		{ COMMAND("FAILED", "null"), "the agent gave no reason" },
		{ COMMAND("FAILED", "\"text\""), "the agent gave no reason" },
		{ COMMAND("COOKED", "null"), "the agent gave no reason" },
		{ "{\"commands\": [" COMMAND("SUCCEEDED", "null") ", " COMMAND(
			  "FAILED", "{\"message\": \"m\", \"details\": \"d\"}") "]}",
		  "m: d" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *answer = parse(rows[i].answer);
		char text[200] = "";
		assert_true(agent_command_answer(answer));
		assert_int_equal(
			agent_command_find(answer, "execute_deploy_step", NULL, text, sizeof(text)),
			AGENT_COMMAND_FAILED);
		assert_string_equal(text, rows[i].says);
		json_free(answer);
	}
}

/* What says nothing of commands is no list of none. */
static void test_answers_without_sense(void **state)
{
	(void)state;
	static const char *const rows[] = { "{}",
					    "[]",
					    "null",
					    "{\"commands\": {}}",
					    "{\"commands\": null}",
					    "{\"command_status\": 5}",
					    "{\"faultstring\": \"x\"}" };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *answer = parse(rows[i]);
		if (agent_command_answer(answer))
			fail_msg("%s is taken", rows[i]);
		json_free(answer);
	}
	struct json *none = parse("{\"commands\": []}");
	assert_true(agent_command_answer(none));
	json_free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_answers_without_sense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
