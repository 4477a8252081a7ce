/* The tokens file: what is taken is printed, and read again it is the same. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/tokens.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = xstrndup((const char *)data, size);
	_cleanup_(tokens_done) struct tokens t = { 0 }, again = { 0 };
	if (tokens_parse(text, &t, NULL) < 0)
		return 0;
	_cleanup_(freep) char *printed = tokens_format(&t);
	int r = tokens_parse(printed, &again, NULL);
	assert(r == 0 && again.count == t.count);
	for (size_t i = 0; i < t.count; i++)
		assert(streq(t.items[i].name, again.items[i].name) &&
		       streq(t.items[i].hash, again.items[i].hash));
	tokens_find(&t, text);
	return 0;
}
