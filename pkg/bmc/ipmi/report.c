/* What people read when IPMI fails: what, on which BMC, and what to do. Passwords never appear. */

#include "base/mem.h"
#include "base/str.h"
#include "bmc/ipmi/internal.h"

static const char *user_of(const struct ipmi_bmc *b)
{
	return str_or(b->base.credentials.username, "");
}

int ipmi_report_failure(const struct ipmi_bmc *b, const struct ipmi_session *s, struct err *err)
{
	_cleanup_(freep) char *bmc = bmc_address_endpoint(&b->base.address);
	uint8_t status = s->status;
	switch (s->failure) {
	case IPMI_FAILURE_NO_RMCPPLUS:
		return err_set_code(
			err, ERR_UNSUPPORTED, status,
			"BMC %s does not offer IPMI 2.0 (RMCP+) over LAN; IPMI 1.5 is "
			"not secure and not used: update its firmware or enable IPMI 2.0",
			bmc);
	case IPMI_FAILURE_NO_SUITE:
		return err_set_code(err, ERR_UNSUPPORTED, status,
				    "BMC %s accepts neither IPMI cipher suite 17 nor 3%s (status "
				    "0x%02x): enable one of them on the BMC",
				    bmc,
				    bmc_address_param(&b->base.address, "ciphersuite")
					    ? " as the address demands"
					    : "",
				    status);
	case IPMI_FAILURE_USER:
		return err_set_code(
			err, ERR_DENIED, status,
			"BMC %s knows no user \"%s\" that may log in by IPMI: correct "
			"the username in the host's Secret, or enable the user for IPMI "
			"over LAN on the BMC",
			bmc, user_of(b));
	case IPMI_FAILURE_PASSWORD:
		return err_set_code(err, ERR_DENIED, status,
				    "BMC %s does not accept the password of user \"%s\" (IPMI): "
				    "correct the password in the host's Secret or on the BMC",
				    bmc, user_of(b));
	case IPMI_FAILURE_PRIVILEGE:
		return err_set_code(
			err, ERR_DENIED, status,
			"BMC %s does not give user \"%s\" the privilege level %s (IPMI): "
			"raise the user's level on the BMC, or append "
			"?privilegelevel=OPERATOR to the BMC address",
			bmc, user_of(b), ipmi_privilege_name(b->privilege));
	case IPMI_FAILURE_BUSY:
		return err_set_code(err, ERR_BUSY, status,
				    "BMC %s has no free IPMI session: too many other clients are "
				    "connected to it",
				    bmc);
	case IPMI_FAILURE_NONE:
	case IPMI_FAILURE_LOST:
	case IPMI_FAILURE_REFUSED:
		break;
	}
	return err_set_code(err, ERR_PROTOCOL, status,
			    "BMC %s refuses an IPMI session (status 0x%02x)", bmc, status);
}

int ipmi_report_completion(const struct ipmi_bmc *b, uint8_t code, struct err *err)
{
	_cleanup_(freep) char *bmc = bmc_address_endpoint(&b->base.address);
	const struct bmc_request *request = &b->base.running->request;
	bool power = request->op == BMC_OP_SET_POWER;
	_cleanup_(freep) char *what = power ? xasprintf("\"power %s\" (%s)",
							bmc_action_name(request->action),
							b->step->name)
					    : xstrdup(b->step->name);
	const char *more = ipmi_completion_kind(code) == ERR_DENIED
				   ? ": raise the level of the BMC's user"
			   : power ? ": look at the BMC's own log"
				   : "";
	return err_set_code(err, ipmi_completion_kind(code), code,
			    "BMC %s refuses %s: %s (completion code 0x%02x)%s", bmc, what,
			    ipmi_completion_text(code), code, more);
}

int ipmi_report_late(const struct ipmi_bmc *b, struct err *err)
{
	_cleanup_(freep) char *bmc = bmc_address_endpoint(&b->base.address);
	if (b->resolving)
		return err_set(err, ERR_TIMEOUT,
			       "the name of BMC %s cannot be resolved in time: check DNS", bmc);
	if (b->sent_once)
		return err_set(err, ERR_TIMEOUT,
			       "BMC %s did not answer \"%s\": it may or may not have been done",
			       bmc, bmc_action_name(b->base.running->request.action));
	if (b->busy)
		return err_set(err, ERR_BUSY, "BMC %s was busy all the time (asked %u times)", bmc,
			       b->busy + 1U);
	if (!list_empty(&b->waiting))
		return err_set(err, ERR_BUSY, "BMC %s: all IPMI sessions are in use by other hosts",
			       bmc);
	if (!b->heard && b->junk && b->session && b->session->forged)
		return err_set(err, ERR_PROTOCOL,
			       "BMC %s sends answers that cannot be authenticated (IPMI)", bmc);
	if (!b->heard && b->junk)
		return err_set(err, ERR_PROTOCOL,
			       "BMC %s answers with something that is not IPMI: check address and "
			       "port",
			       bmc);
	if (!b->heard && !b->slot && !b->restarts)
		return err_set(err, ERR_TIMEOUT,
			       "BMC %s: the pause between IPMI sessions took all the time", bmc);
	if (!b->heard)
		return err_set(err, ERR_TIMEOUT,
			       "BMC %s does not answer IPMI (RMCP+): check the address and the "
			       "cabling, and that IPMI over LAN is enabled on the BMC",
			       bmc);
	return err_set(err, ERR_TIMEOUT, "BMC %s went silent while %s (IPMI)", bmc,
		       ipmi_state_info(b->session ? b->session->state : b->stuck)->name);
}
