#pragma once
/* What each operation says to an IPMI BMC: tables of steps, with the bytes of IPMI 2.0 and the
 * known differences between vendors. Pure functions. any thread */

#include "base/cursor.h"
#include "bmc/bmc.h"
#include "bmc/ipmi/packet.h"

/* What is remembered of a BMC between operations. */
struct ipmi_facts {
	uint32_t manufacturer; /* IANA enterprise number */
	bool known;	       /* the BMC told it */
};

struct ipmi_step {
	const char *name; /* "Get Chassis Status"; NULL ends a table */
	uint8_t netfn, command;
	bool may_fail; /* a refusal is no failure of the operation */
	/* NULL: always. */
	bool (*wanted)(const struct ipmi_facts *facts, const struct bmc_request *request);
	/* NULL: no data. */
	void (*encode)(const struct ipmi_facts *facts, const struct bmc_request *request,
		       struct wcursor *w);
	/* NULL: nothing to learn. False: the answer is too short. */
	bool (*decode)(struct ipmi_facts *facts, struct cursor *c, struct bmc_result *result);
};

const struct ipmi_step *ipmi_steps(enum bmc_op op);
/* `step` itself if it is wanted, else the next one that is, or NULL. */
const struct ipmi_step *ipmi_step_from(const struct ipmi_step *step, const struct ipmi_facts *facts,
				       const struct bmc_request *request);
/* Must not be sent again after silence: the first may have worked. */
bool ipmi_step_once(const struct ipmi_step *step, const struct bmc_request *request);

/* "invalid data field in request", or "unknown reason". */
const char *ipmi_completion_text(uint8_t code);
enum err_kind ipmi_completion_kind(uint8_t code); /* ERR_BUSY: ask again */
/* Never NULL; "IANA 1234" in buf when unknown. */
const char *ipmi_vendor(uint32_t manufacturer, char buf[24]);
/* Any case; -EINVAL. */
int ipmi_privilege_parse(const char *text, uint8_t *ret);
const char *ipmi_privilege_name(uint8_t level);
