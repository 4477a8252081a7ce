#pragma once
/* Which images can be deployed, as far as their description tells. Asked where an image is
 * accepted, before anything that stands in its way is undone, and before a deployment starts; all
 * three must agree. Pure; any thread. */

#include "prov/host.h"

/* 0, or ERR_UNSUPPORTED or ERR_INVALID and the member of spec.image that is at fault (static). The
 * strings of the image may be NULL. */
int prov_image_check(const struct prov_image *image, const char **ret_member, struct err *err);
