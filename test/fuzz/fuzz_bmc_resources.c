/* Bodies of a Redfish service as the operations read them: tasks, sensors, settings, times. The
 * first line is a text, the rest a body. */

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void read_task(const struct json *body)
{
	struct bmc_job job = { 0 };
	rf_read_task(body, &job);
	check(job.percent <= 100 && !job.id);
	for (const char *c = str_or(job.text, ""); *c; c++)
		check(!iscntrl((unsigned char)*c));
	free(job.text);
}

static void read_sensors(const struct json *body)
{
	struct bmc_result result = { .op = BMC_OP_GET_SENSORS };
	rf_read_sensors(body, &result.sensors);
	rf_read_sensor(body, &result.sensors);
	for (size_t i = 0; i < result.sensors.count; i++)
		check(result.sensors.items[i].name[0] && result.sensors.items[i].group[0]);
	bmc_result_done(&result);
}

/* What is read as text is taken back as the same value. */
static void read_settings(const struct json *body, const char *text)
{
	json_for_each(one, json_get(body, "Attributes")) {
		char *was = rf_setting_text(one);
		json_free(rf_setting_value(one, text));
		struct json *again = was ? rf_setting_value(one, was) : NULL;
		int64_t n;
		if (json_string(one) || json_type(one) == JSON_BOOL || json_int(one, &n))
			check(!was || !again || json_equal(one, again));
		json_free(again);
		free(was);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t n = end ? (size_t)(end - data) : size;
	char *text = xstrndup((const char *)data, n);
	struct json *body = NULL;
	(void)rf_parse_time(text);
	if (end && json_parse_depth((const char *)end + 1, size - n - 1, 32, &body, NULL) == 0) {
		read_task(body);
		read_sensors(body);
		read_settings(body, text);
	}
	json_free(body);
	free(text);
	return 0;
}
