/* Answers of a Redfish service: the first line is a link, the second a version, the rest the body.
 * What is read from them is printable where people see it, fits, and never leads away from the BMC.
 */

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

/* A path goes into a request line and behind the base URL. */
static void check_path(const char *link)
{
	char *path = rf_path_of(link);
	(void)rf_is_own("https://bmc", link);
	if (!path)
		return;
	check(path[0] == '/' && path[1] != '/');
	check(strlen(path) < RF_LINK_MAX + 3);
	for (const char *c = path; *c; c++)
		check((unsigned char)*c > ' ' && (unsigned char)*c < 0x7f && *c != '#');
	free(path);
}

static void read_error(const struct rf_answer *a)
{
	static const char *const words[] = { "ActionParameterMissing", "SYS518",
					     "TransferProtocolType", "" };
	struct strbuf said = { 0 };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		(void)rf_says(a, words[i]);
		(void)rf_mentions(a, words[i]);
	}
	rf_describe(a, &said);
	check(said.len < 400);
	for (size_t i = 0; i < said.len; i++)
		check(isprint((unsigned char)said.data[i]));
	strbuf_done(&said);
}

static void read_members(const struct json *body)
{
	char text[16];
	json_for_each(member, body) {
		const char *name = json_key(member);
		if (!name)
			continue;
		check(strlen(rf_text(body, name, text, sizeof(text))) < sizeof(text));
		(void)rf_allows(body, name, "Pxe");
		(void)rf_target(body, name);
		if (rf_link(body, name))
			check_path(rf_link(body, name));
	}
}

static char *take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, '\n', *size);
	size_t n = end ? (size_t)(end - *data) : *size;
	char *line = xstrndup((const char *)*data, n);
	*data += end ? n + 1 : n;
	*size -= end ? n + 1 : n;
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *link = take_line(&data, &size);
	char *version = size ? take_line(&data, &size) : xstrdup("");
	struct rf_answer a = { .status = 400, .path = "", .location = "", .etag = "" };
	check_path(link);
	check(rf_version_compare(version, version) == 0);
	check(rf_version_compare(version, "1.40") == -rf_version_compare("1.40", version));
	(void)rf_quirks_of(link, version, version);
	if (size && json_parse_depth((const char *)data, size, 32, &a.body, NULL) < 0)
		a.body = NULL;
	read_error(&a);
	read_members(a.body);
	json_free(a.body);
	free(link);
	free(version);
	return 0;
}
