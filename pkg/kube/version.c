/* GET /version, once. `minor` may be "36+", and of forks anything: it is text. Core thread. */

#include "kube/version.h"

#include <stdio.h>

#include "base/log.h"
#include "base/str.h"

enum { TEXT_MAX = 80 };

static void on_version(void *data, const struct err *err, struct json **answer)
{
	(void)data;
	char text[TEXT_MAX];
	const char *git = json_get_string(*answer, "gitVersion");
	const char *major = json_get_string(*answer, "major");
	const char *minor = json_get_string(*answer, "minor");
	if (err) {
		log_debug("the API server does not tell its version", "error", err->text);
		return;
	}
	if (str_empty(git) && (str_empty(major) || str_empty(minor)))
		return;
	if (str_empty(git))
		snprintf(text, sizeof(text), "%s.%s", major, minor);
	else
		snprintf(text, sizeof(text), "%s", git);
	log_info("API server", "version", text);
}

void kube_log_version(struct kube_client *c)
{
	const struct kube_request r = { .method = "GET",
					.path = "/version",
					.what = "get the API server's version" };
	kube_request(c, &r, on_version, NULL);
}
