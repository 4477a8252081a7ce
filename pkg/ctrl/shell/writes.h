#pragma once
/* Making the writes of an outcome. Core thread. */

#include "ctrl/shell/outcome.h"

struct kube_op *write_start(struct kube_client *client, const struct write *w, kube_done_fn done,
			    void *data);
/* Is what the write was for reached? `leaves`: the object itself goes with this outcome. */
bool write_served(const struct write *w, const struct err *err, bool leaves);
