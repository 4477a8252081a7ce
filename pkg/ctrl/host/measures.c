/* Metrics of a pass, by baremetal-operator's names. The pass only notes them; they are counted by
 * its shell when the writes are made. Pure but for host_result_count. */

#include "ctrl/host/internal.h"

void pass_measure(struct pass *p, enum metric_id metric, double value, const char *first,
		  const char *second)
{
	struct host_result *out = p->out;
	if (out->measure_count < HOST_MEASURES_MAX)
		out->measures[out->measure_count++] = (struct host_measure){ metric,
									     value,
									     { first, second } };
}

void pass_count(struct pass *p, enum metric_id metric, const char *label)
{
	pass_measure(p, metric, 1, label, NULL);
}

/* By state; 0, which is a metric of the queue: none. */
static const enum metric_id durations[_BMH_STATE_MAX] = {
	[BMH_REGISTERING] = METRIC_REGISTER_SECONDS,
	[BMH_INSPECTING] = METRIC_INSPECT_SECONDS,
	[BMH_PROVISIONING] = METRIC_PROVISION_SECONDS,
	[BMH_DEPROVISIONING] = METRIC_DEPROVISION_SECONDS,
};
static const enum metric_id delays[_BMH_STATE_MAX] = {
	[BMH_PROVISIONING] = METRIC_DELAYED_PROVISIONING,
	[BMH_DEPROVISIONING] = METRIC_DELAYED_DEPROVISIONING,
};

void pass_measure_end(struct pass *p, enum bmh_state state, usec_t took)
{
	if (durations[state] && took > 0)
		pass_measure(p, durations[state], (double)took / (double)USEC_PER_SEC, NULL, NULL);
}

void pass_measure_delay(struct pass *p, enum bmh_state state)
{
	if (delays[state])
		pass_count(p, delays[state], NULL);
}

void host_result_count(const struct host_result *r, const char *ns, const char *name)
{
	for (size_t i = 0; i < r->measure_count; i++) {
		const struct host_measure *m = &r->measures[i];
		const struct metric *row = metric_row(m->metric);
		enum metric_verb verb = row->type == METRIC_HISTOGRAM ? METRIC_OBSERVE : METRIC_ADD;
		if (streq(row->labels[0], "namespace"))
			metric_write(m->metric, verb, m->value, ns, name, m->labels[0], NULL);
		else
			metric_write(m->metric, verb, m->value, m->labels[0], m->labels[1], NULL);
	}
}
