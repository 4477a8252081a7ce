#pragma once
/* The rules of admission as the embedded API server asks for them. The server's loop. */

#include "apiserver/apiserver.h"

/* For apiserver_options.admit; `data` is not used. */
char *rules_admit(void *data, const struct api_admission *a);
