#pragma once
/* Which images this engine can deploy, as far as their description tells. Asked where an image is
 * accepted, before anything that stands in its way is undone, and before a deployment starts; all
 * three must agree. Pure; any thread. */

#include "engine/provisioner.h"

/* 0, or ERR_UNSUPPORTED or ERR_INVALID and the member of spec.image that is at fault (static). The
 * strings of the image may be NULL. */
int image_check(const struct prov_image *image, const char **ret_member, struct err *err);
