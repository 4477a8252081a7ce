/* What a provisioner says of a host, in the words of Kubernetes: it knows what is wrong with a host
 * and its machine, the controllers know which member of the spec mends it. */

#include "ctrl/host/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* With room for the subject; NULL: the text is one already. */
static const char *format_of(enum prov_problem problem)
{
	switch (problem) {
	case PROV_OTHER:
		break;
	case PROV_BAD_BOOT_MAC:
		return "\"%s\" is not a MAC address: set spec.bootMACAddress to that of the NIC "
		       "that boots from the network, as in 52:54:00:12:34:56";
	case PROV_NEEDS_BOOT_MAC:
		return "BMC driver %s requires a boot MAC address: set spec.bootMACAddress to the "
		       "NIC that boots from the network";
	case PROV_OTHER_BMC:
		return "spec.bmc.address was changed after the host was registered: set it back, "
		       "or detach the host first%s";
	case PROV_OTHER_BOOT_MAC:
		return "spec.bootMACAddress was changed from %s, by which the host has booted: set "
		       "it back, or make the host anew";
	case PROV_WRONG_STATE:
		return "cannot start %s by its HostRecord; if the record is stale, delete it";
	case PROV_NO_CERTIFICATE:
		return "the annotation ingot.dev/bmc-certificate-sha256 pins a certificate, and a BMC "
		       "of type %s shows none: remove the annotation, or correct spec.bmc.address";
	case PROV_NOT_STORED:
		return "cannot store the HostRecord, without which nothing is done to the machine: "
		       "%s";
	}
	return NULL;
}

const char *host_words(struct prov_result *r)
{
	const char *format = format_of(r->problem), *rest = format ? strstr(format, "%s") : NULL;
	char text[sizeof(r->error)];
	if (!rest)
		return r->error;
	snprintf(text, sizeof(text), "%.*s%.400s%s", (int)(rest - format), format, r->error,
		 rest + strlen("%s"));
	memcpy(r->error, text, sizeof(text));
	r->problem = PROV_OTHER;
	return r->error;
}
