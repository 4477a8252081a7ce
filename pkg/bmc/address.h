#pragma once
/* BMC addresses as BareMetalHosts carry them: `ipmi://10.0.0.1`,
 * `redfish+http://bmc.example.com:8000/redfish/v1/Systems/1`, `10.0.0.1:6230`. The grammar and its
 * oddities are those of Metal3. Pure functions. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { BMC_ADDRESS_MAX = 2048, BMC_PARAMS_MAX = 8 };

enum bmc_driver_kind { BMC_DRIVER_IPMI, BMC_DRIVER_REDFISH, BMC_DRIVER_IDRAC, _BMC_DRIVER_MAX };

/* How a host gets its boot ramdisk. */
enum bmc_boot_method { BMC_BOOT_NETWORK, BMC_BOOT_MEDIA, BMC_BOOT_UEFI_HTTP, _BMC_BOOT_MAX };

/* One row per kind of address. It describes the address; what a driver can do is for
 * bmc_driver_supports() to say (bmc.h). */
struct bmc_scheme {
	const char *name;   /* "redfish-virtualmedia" */
	const char *driver; /* Ironic's hardware type, as conditions and the REST API show it */
	enum bmc_driver_kind kind;
	enum bmc_boot_method boot; /* that the address asks for */
	uint16_t default_port;	   /* 0: that of the transport */
	bool http;		   /* takes +http and +https, has a path */
	bool needs_mac;		   /* even when inspection is on */
};

struct bmc_param {
	char *key, *value; /* percent-decoded */
};

struct bmc_address {
	const struct bmc_scheme *scheme;
	char *host;	 /* lower case, without brackets; "" is possible */
	uint16_t port;	 /* as given, else the scheme's; 0: the transport's */
	bool plain_http; /* `+http` */
	char *path;	 /* percent-decoded, with its leading '/'; "" when absent */
	struct bmc_param *params;
	unsigned param_count;
};

/* The whole table, ended by a row without a name. */
const struct bmc_scheme *bmc_schemes(void);

/* Errors are ERR_INVALID and begin "failed to parse BMC address information: "; they never quote
 * the user or password that an address may contain. */
int bmc_address_parse(const char *text, struct bmc_address *ret, struct err *err);
void bmc_address_done(struct bmc_address *a);
void bmc_address_copy(const struct bmc_address *from, struct bmc_address *ret);
bool bmc_address_equal(const struct bmc_address *a, const struct bmc_address *b);
/* NULL when absent; the first of several. */
const char *bmc_address_param(const struct bmc_address *a, const char *key);
/* "10.0.0.1:623", "[fe80::1]:623", "bmc.example.com": for messages. A new string. */
char *bmc_address_endpoint(const struct bmc_address *a);
/* Redfish kinds: "https://host[:port]", and the path of the system or NULL when the only system is
 * to be discovered. New strings. */
char *bmc_address_base_url(const struct bmc_address *a);
char *bmc_address_system_path(const struct bmc_address *a);
