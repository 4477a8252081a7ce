/* AdmissionReviews: whoever may write objects chooses most of their bytes. What is taken has an
 * answer that is JSON, with the request's uid, and allowed exactly when no rule was broken. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admission/review.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct review r;
	struct err err = { 0 };
	if (review_parse((const char *)data, size, &r, &err) < 0) {
		if (err.kind == ERR_NONE || err.text[0] == '\0')
			abort();
		return 0;
	}
	_cleanup_(rule_findings_done) struct rule_findings found = { 0 };
	_cleanup_(json_freep) struct json *answer = NULL;
	r.subject.hosts = json_get_path(r.tree, "request.options.hosts");
	rules_check(&r.subject, &found);
	_cleanup_(freep) char *text = review_answer(&r, &found);
	if (json_parse(text, strlen(text), &answer, NULL) < 0)
		abort();
	const struct json *response = json_get(answer, "response");
	if (!streq(json_get_string(response, "uid"), json_get_path_string(r.tree, "request.uid")) ||
	    json_get_bool(response, "allowed", false) != (found.errors.count == 0))
		abort();
	review_done(&r);
	return 0;
}
