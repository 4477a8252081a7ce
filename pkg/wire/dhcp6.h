#pragma once
/* DHCPv6 messages (RFC 8415; network boot by RFC 5970; link-layer addresses from relays by RFC
 * 6939): decoded with the headers of all relays on the way, encoded with the same headers for the
 * way back. Decoding checks form only; what a message means is the server's business (pkg/boot).
 * any thread */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum {
	DHCP6_CLIENT_PORT = 546,
	DHCP6_SERVER_PORT = 547,
	DHCP6_SIZE_MAX = 1452,	/* in one Ethernet frame; larger messages are refused */
	DHCP6_OPTIONS_MAX = 48, /* of one message, relays' apart */
	DHCP6_HOPS_MAX = 8,	/* HOP_COUNT_LIMIT */
	DHCP6_RELAYS_MAX = DHCP6_HOPS_MAX + 1,
	DHCP6_DUID_MAX = 130, /* type and 128 bytes */
	DHCP6_MAC_SIZE = 6,
	DHCP6_INFINITY = -1, /* as a time: 0xffffffff */
	DHCP6_PREFERENCE_MAX = 255,
	DHCP6_ENTERPRISE_INTEL = 343, /* of the classes that UEFI sends and wants */
};

enum dhcp6_type {
	DHCP6_SOLICIT = 1,
	DHCP6_ADVERTISE = 2,
	DHCP6_REQUEST = 3,
	DHCP6_CONFIRM = 4,
	DHCP6_RENEW = 5,
	DHCP6_REBIND = 6,
	DHCP6_REPLY = 7,
	DHCP6_RELEASE = 8,
	DHCP6_DECLINE = 9,
	DHCP6_RECONFIGURE = 10,
	DHCP6_INFORMATION_REQUEST = 11,
	DHCP6_RELAY_FORWARD = 12, /* never the type of a decoded message */
	DHCP6_RELAY_REPLY = 13,	  /* likewise */
};

enum {
	DHCP6_OPT_CLIENT_ID = 1,
	DHCP6_OPT_SERVER_ID = 2,
	DHCP6_OPT_IA_NA = 3,
	DHCP6_OPT_IA_TA = 4,
	DHCP6_OPT_ADDRESS = 5,
	DHCP6_OPT_REQUEST = 6, /* the codes that a client asks for */
	DHCP6_OPT_PREFERENCE = 7,
	DHCP6_OPT_ELAPSED = 8,
	DHCP6_OPT_RELAY_MESSAGE = 9,
	DHCP6_OPT_STATUS = 13,
	DHCP6_OPT_RAPID_COMMIT = 14,
	DHCP6_OPT_USER_CLASS = 15,
	DHCP6_OPT_VENDOR_CLASS = 16,
	DHCP6_OPT_INTERFACE_ID = 18,
	DHCP6_OPT_DNS = 23,
	DHCP6_OPT_DOMAINS = 24,
	DHCP6_OPT_IA_PD = 25,
	DHCP6_OPT_BOOT_FILE_URL = 59,
	DHCP6_OPT_BOOT_FILE_PARAMETERS = 60,
	DHCP6_OPT_ARCH = 61,
	DHCP6_OPT_NII = 62,
	DHCP6_OPT_CLIENT_MAC = 79, /* RFC 6939, of a relay */
};

enum dhcp6_status {
	DHCP6_SUCCESS = 0,
	DHCP6_UNSPECIFIED_FAILURE = 1,
	DHCP6_NO_ADDRESSES = 2,
	DHCP6_NO_BINDING = 3,
	DHCP6_NOT_ON_LINK = 4,
	DHCP6_USE_MULTICAST = 5,
	DHCP6_NO_PREFIXES = 6,
};

/* Values stand in the message's `bytes`. */
struct dhcp6_option {
	uint16_t code, at, len;
};

struct dhcp6_relay {
	uint8_t hops;
	struct in6_addr link, peer; /* link may be ::, then another relay's tells the subnet */
	bool has_interface_id;
	struct dhcp6_option interface_id;
	bool has_mac; /* of the client, as the relay saw it */
	uint8_t mac[DHCP6_MAC_SIZE];
};

struct dhcp6_message {
	enum dhcp6_type type;
	uint32_t xid; /* 24 bits */
	/* The one that sends to the server, and is answered, first. */
	struct dhcp6_relay relays[DHCP6_RELAYS_MAX];
	size_t relay_count;
	struct dhcp6_option options[DHCP6_OPTIONS_MAX]; /* in their order */
	size_t option_count;
	uint8_t bytes[DHCP6_SIZE_MAX];
	size_t used;
	bool full; /* something was added that had no room: it is not encoded any more */
};

/* -EBADMSG: cut off, too deep, of an unknown type, or not what relays pass in that direction;
 * -EMSGSIZE: over DHCP6_SIZE_MAX; -E2BIG: over DHCP6_OPTIONS_MAX. */
int dhcp6_decode(const void *data, size_t len, struct dhcp6_message *ret);
/* Inside the headers of its relays: forward for what clients send, reply for what servers send.
 * -EMSGSIZE: it does not fit into `out`, DHCP6_SIZE_MAX bytes. */
int dhcp6_encode(const struct dhcp6_message *m, void *out, size_t *ret_len);
const char *dhcp6_type_name(enum dhcp6_type type); /* "SOLICIT" */

/* --- reading ---------------------------------------------------------------------------------- */

/* The first option of that code; NULL when absent. Borrowed from the message. */
const uint8_t *dhcp6_get(const struct dhcp6_message *m, uint16_t code, size_t *ret_len);
bool dhcp6_has(const struct dhcp6_message *m, uint16_t code);
/* Does the client ask for the option of that code? */
bool dhcp6_asks(const struct dhcp6_message *m, uint16_t code);
/* Does a class begin with, or a user class equal, the text? */
bool dhcp6_has_vendor_class(const struct dhcp6_message *m, const char *prefix);
bool dhcp6_has_user_class(const struct dhcp6_message *m, const char *text);
/* DHCP6_SUCCESS when no status is told. ia NULL: of the message itself. */
struct dhcp6_ia;
enum dhcp6_status dhcp6_get_status(const struct dhcp6_message *m, const struct dhcp6_ia *ia);

/* An identity association (IA_NA, IA_TA or IA_PD), borrowed from the message. */
struct dhcp6_ia {
	uint16_t code;
	uint32_t iaid, t1, t2; /* times 0 for IA_TA */
	const uint8_t *options;
	size_t len;
};

struct dhcp6_address {
	struct in6_addr ip;
	uint32_t preferred, valid; /* seconds */
};

/* The n-th of all, from 0; false: there is none, or it is malformed. */
bool dhcp6_get_ia(const struct dhcp6_message *m, size_t n, struct dhcp6_ia *ret);
bool dhcp6_get_address(const struct dhcp6_ia *ia, size_t n, struct dhcp6_address *ret);
/* Out of a DUID of the types "link-layer address" and "link-layer address plus time" (1, 3) over
 * Ethernet; the others (enterprise number, UUID) have none. */
bool dhcp6_duid_mac(const uint8_t *duid, size_t len, uint8_t ret[DHCP6_MAC_SIZE]);
/* Out of a link-local address whose interface identifier was made of it (RFC 4291, appendix A). */
bool dhcp6_address_mac(const struct in6_addr *address, uint8_t ret[DHCP6_MAC_SIZE]);
/* The client's subnet, by the relay next to it that tells it; false: no relay does. */
bool dhcp6_get_link(const struct dhcp6_message *m, struct in6_addr *ret);

/* --- writing ---------------------------------------------------------------------------------- */

/* What has no room (a request's own words may be as long as a message) makes dhcp6_encode() fail.
 */
void dhcp6_add(struct dhcp6_message *m, uint16_t code, const void *data, size_t len);
void dhcp6_add_u8(struct dhcp6_message *m, uint16_t code, uint8_t v);
void dhcp6_add_u16(struct dhcp6_message *m, uint16_t code, uint16_t v);
void dhcp6_add_status(struct dhcp6_message *m, enum dhcp6_status status, const char *text);
/* An IA_NA, IA_TA or IA_PD: times, addresses and a status that is not success. */
void dhcp6_add_ia(struct dhcp6_message *m, const struct dhcp6_ia *ia,
		  const struct dhcp6_address *addresses, size_t count, enum dhcp6_status status,
		  const char *text);
/* As RFC 5970 has UEFI's: "HTTPClient" with Intel's enterprise number. */
void dhcp6_add_vendor_class(struct dhcp6_message *m, uint32_t enterprise, const char *text);
void dhcp6_add_user_class(struct dhcp6_message *m, const char *text);
/* The name in DNS's form (RFC 1035, section 3.1); -EINVAL: it is not a name. */
int dhcp6_add_domain(struct dhcp6_message *m, const char *name);
/* The relays, and so the way back, of a message. */
void dhcp6_copy_relays(struct dhcp6_message *m, const struct dhcp6_message *from);
/* Copies an option of the request, if there. */
void dhcp6_echo(struct dhcp6_message *m, const struct dhcp6_message *request, uint16_t code);
