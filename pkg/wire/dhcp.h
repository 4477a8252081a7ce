#pragma once
/* DHCPv4 messages (RFC 2131, options of RFC 2132): decoded with overloaded and split options put
 * together, encoded within the size that the client takes. Decoding checks form only; what a
 * message means is the server's business (pkg/boot). any thread */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum {
	DHCP_SERVER_PORT = 67,
	DHCP_CLIENT_PORT = 68,
	DHCP_PXE_PORT = 4011,	 /* boot server discovery of the PXE specification */
	DHCP_HEADER_SIZE = 240,	 /* up to and with the magic cookie */
	DHCP_SIZE_MIN = 300,	 /* BOOTP relays drop what is shorter */
	DHCP_SIZE_MAX = 1500,	 /* larger messages are refused; ours stay below */
	DHCP_SIZE_DEFAULT = 548, /* what every client takes: 576 without IP and UDP headers */
	DHCP_CHADDR_SIZE = 16,
	DHCP_SNAME_SIZE = 64,
	DHCP_FILE_SIZE = 128,
	DHCP_HEADERS_BELOW = 28, /* IP and UDP: option 57 counts them */
};

enum dhcp_op { DHCP_OP_REQUEST = 1, DHCP_OP_REPLY = 2 };

/* What a relay adds within option 82. */
enum dhcp_relay_option {
	DHCP_RELAY_LINK = 5,	/* link selection, RFC 3527: the subnet of the client */
	DHCP_RELAY_SERVER = 11, /* server identifier override, RFC 5107 */
};

enum { DHCP_HTYPE_ETHERNET = 1, DHCP_FLAG_BROADCAST = 0x8000 };

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_DECLINE = 4,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
	DHCP_INFORM = 8,
};

enum {
	DHCP_OPT_PAD = 0,
	DHCP_OPT_NETMASK = 1,
	DHCP_OPT_ROUTER = 3,
	DHCP_OPT_DNS = 6,
	DHCP_OPT_HOST_NAME = 12,
	DHCP_OPT_DOMAIN = 15,
	DHCP_OPT_BROADCAST = 28,
	DHCP_OPT_VENDOR = 43,
	DHCP_OPT_ADDRESS = 50,
	DHCP_OPT_LEASE_TIME = 51,
	DHCP_OPT_OVERLOAD = 52,
	DHCP_OPT_TYPE = 53,
	DHCP_OPT_SERVER = 54,
	DHCP_OPT_PARAMETERS = 55,
	DHCP_OPT_MESSAGE = 56,
	DHCP_OPT_MAX_SIZE = 57,
	DHCP_OPT_RENEW_TIME = 58,
	DHCP_OPT_REBIND_TIME = 59,
	DHCP_OPT_VENDOR_CLASS = 60,
	DHCP_OPT_CLIENT_ID = 61,
	DHCP_OPT_TFTP_SERVER = 66,
	DHCP_OPT_BOOT_FILE = 67,
	DHCP_OPT_USER_CLASS = 77,
	DHCP_OPT_RELAY = 82,
	DHCP_OPT_ARCH = 93,
	DHCP_OPT_NDI = 94,
	DHCP_OPT_UUID = 97,
	DHCP_OPT_SUBNET = 118, /* subnet selection, RFC 3011 */
	DHCP_OPT_TFTP_ADDRESS = 150,
	DHCP_OPT_IPXE = 175,
	DHCP_OPT_END = 255,
};

/* Values stand in `bytes`, one after another; a code that occurs several times is one value
 * (RFC 3396). 0 bytes is a value too, hence `present`. */
struct dhcp_options {
	struct {
		bool present;
		uint16_t at, len;
	} slots[256];
	uint8_t bytes[DHCP_SIZE_MAX];
	size_t used;
};

struct dhcp_message {
	uint8_t op, htype, hlen, hops;
	uint32_t xid;
	uint16_t secs, flags;
	struct in_addr ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[DHCP_CHADDR_SIZE];
	char sname[DHCP_SNAME_SIZE + 1]; /* "" when overloaded; so is file */
	char file[DHCP_FILE_SIZE + 1];
	struct dhcp_options options;
};

/* An option that is cut off, by the end of the message or of its field, is left out with all after
 * it. -EBADMSG: not a DHCP message (plain BOOTP without option 53 included);
 * -EMSGSIZE: over DHCP_SIZE_MAX. */
int dhcp_decode(const void *data, size_t len, struct dhcp_message *ret);
/* Writes at most `max` bytes (never under DHCP_SIZE_DEFAULT), options by rising code but type and
 * server first and the relay's last; what does not fit goes to `file` and `sname` when these are
 * empty. `out` holds DHCP_SIZE_MAX bytes. -EMSGSIZE when even that is too small. */
int dhcp_encode(const struct dhcp_message *m, size_t max, void *out, size_t *ret_len);

/* NULL when absent. */
const uint8_t *dhcp_get(const struct dhcp_message *m, uint8_t code, size_t *ret_len);
bool dhcp_has(const struct dhcp_message *m, uint8_t code);
/* False when absent or of another length. */
bool dhcp_get_u8(const struct dhcp_message *m, uint8_t code, uint8_t *ret);
bool dhcp_get_u16(const struct dhcp_message *m, uint8_t code, uint16_t *ret);
bool dhcp_get_u32(const struct dhcp_message *m, uint8_t code, uint32_t *ret);
bool dhcp_get_address(const struct dhcp_message *m, uint8_t code, struct in_addr *ret);
/* From option 82 of a relayed message (giaddr): what stands there in a client's own is none of a
 * relay's. */
bool dhcp_get_relay_address(const struct dhcp_message *m, enum dhcp_relay_option code,
			    struct in_addr *ret);
/* Does the text begin with `prefix`? */
bool dhcp_has_prefix(const struct dhcp_message *m, uint8_t code, const char *prefix);
enum dhcp_type dhcp_type(const struct dhcp_message *m); /* of a decoded message */
const char *dhcp_type_name(enum dhcp_type type);	/* "DISCOVER" */
/* What a reply to this request may measure: option 57, within our limits. */
size_t dhcp_reply_max(const struct dhcp_message *request);

/* Each code at most once. Values over the room of `bytes` abort: they are ours. */
void dhcp_set(struct dhcp_message *m, uint8_t code, const void *data, size_t len);
void dhcp_set_u8(struct dhcp_message *m, uint8_t code, uint8_t v);
void dhcp_set_u32(struct dhcp_message *m, uint8_t code, uint32_t v);
void dhcp_set_address(struct dhcp_message *m, uint8_t code, struct in_addr v);
/* With the NUL: EDK2 writes one behind a value that lacks it, onto the next option. */
void dhcp_set_text(struct dhcp_message *m, uint8_t code, const char *text);
/* Copies an option of the request, if there. */
void dhcp_echo(struct dhcp_message *m, const struct dhcp_message *request, uint8_t code);
