/* Metrics of a reconcile, by baremetal-operator's names. It only notes them; they are counted by
 * its shell when the writes are made. Pure but for host_result_count. */

#include "ctrl/host/internal.h"

void host_measure(struct reconcile *rc, enum metric_id metric, double value, const char *first,
		  const char *second)
{
	outcome_measure(rc->out, metric, value, first, second);
}

void host_count(struct reconcile *rc, enum metric_id metric, const char *label)
{
	host_measure(rc, metric, 1, label, NULL);
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

void host_measure_end(struct reconcile *rc, enum bmh_state state, usec_t took)
{
	if (durations[state] && took > 0)
		host_measure(rc, durations[state], (double)took / (double)USEC_PER_SEC, NULL, NULL);
}

void host_measure_delay(struct reconcile *rc, enum bmh_state state)
{
	if (delays[state])
		host_count(rc, delays[state], NULL);
}
