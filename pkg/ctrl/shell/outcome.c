/* See shell/outcome.h: lists that grow while a reconcile decides. */

#include "ctrl/shell/outcome.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

void outcome_write(struct outcome *o, const struct write *row)
{
	o->writes = xreallocarray(o->writes, o->write_count + 1, sizeof(o->writes[0]));
	o->writes[o->write_count++] = *row;
}

void outcome_event(struct outcome *o, bool warning, const char *reason, char *message)
{
	o->events = xreallocarray(o->events, o->event_count + 1, sizeof(o->events[0]));
	o->events[o->event_count++] = (struct outcome_event){ warning, reason, message };
}

void outcome_measure(struct outcome *o, enum metric_id metric, double value, const char *first,
		     const char *second)
{
	if (o->measure_count < OUTCOME_MEASURES_MAX)
		o->measures[o->measure_count++] = (struct outcome_measure){ metric,
									    value,
									    { first, second } };
}

void outcome_count(const struct outcome *o, const char *ns, const char *name)
{
	for (size_t i = 0; i < o->measure_count; i++) {
		const struct outcome_measure *m = &o->measures[i];
		const struct metric *row = metric_row(m->metric);
		enum metric_verb verb = row->type == METRIC_HISTOGRAM ? METRIC_OBSERVE : METRIC_ADD;
		if (streq(row->labels[0], "namespace"))
			metric_write(m->metric, verb, m->value, ns, name, m->labels[0], NULL);
		else
			metric_write(m->metric, verb, m->value, m->labels[0], m->labels[1], NULL);
	}
}

void outcome_done(struct outcome *o)
{
	for (size_t i = 0; i < o->write_count; i++) {
		struct write *w = &o->writes[i];
		free(w->ns), free(w->name), free(w->uid);
		json_free(w->body);
	}
	for (size_t i = 0; i < o->event_count; i++)
		free(o->events[i].message);
	free(o->writes);
	free(o->events);
	*o = (struct outcome){ 0 };
}
