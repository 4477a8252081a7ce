/* Looks at certificates (see validity.h). */

#include "health/validity.h"

#include "base/err.h"
#include "base/log.h"
#include "crypt/crypt.h"
#include "metrics/metrics.h"

static void warn(struct validity *v, usec_t wall, const char *what, const char *text)
{
	bool again = v->warned_at == 0 || wall < v->warned_at ||
		     wall >= v->warned_at + VALIDITY_AGAIN;
	if (!again)
		return;
	v->warned_at = wall;
	log_warn(what, "certificate", v->name, "reason", text, "to do", v->advice);
}

bool validity_look(struct validity *v, const char *pem, usec_t wall)
{
	usec_t from, to;
	char end[CLOCK_TEXT_MAX];
	struct err err;
	if (crypt_cert_validity(pem, &from, &to, &err) == 0) {
		metric_set(METRIC_CERT_NOT_BEFORE, (double)from / USEC_PER_SEC, v->name);
		metric_set(METRIC_CERT_NOT_AFTER, (double)to / USEC_PER_SEC, v->name);
	}
	if (crypt_cert_check_time(pem, wall, &err) < 0) {
		warn(v, wall, "a certificate is not valid now, so clients fail", err.text);
		return false;
	}
	if (wall + (v->soon ? v->soon : VALIDITY_SOON) > to)
		warn(v, wall, "a certificate ends soon", clock_format(to, end));
	else
		v->warned_at = 0;
	return true;
}
