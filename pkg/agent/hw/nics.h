#pragma once
/* The network interfaces: those with a device behind them, as the inventory lists them. any thread
 */

#include <stdbool.h>

#include "json/json.h"

enum { HW_MAC_SIZE = 18, HW_ADDRESS_SIZE = 46 };

struct hw_nic {
	char *name;
	char mac[HW_MAC_SIZE]; /* permanent if the driver tells, lower case */
	char ipv4[HW_ADDRESS_SIZE], ipv6[HW_ADDRESS_SIZE]; /* "" when unset */
	bool carrier;
	char *vendor, *product, *pci_address, *driver;
	int64_t speed_mbps; /* -1: unknown */
};

struct hw_nics {
	struct hw_nic *items;
	size_t count;
};

/* Which there are comes from the tree below root, their addresses and permanent MACs from the
 * kernel.
 */
struct hw_nics hw_nics_read(const char *root);
void hw_nics_done(struct hw_nics *n);
/* `lldp`: the collected frames by name, or NULL. */
struct json *hw_nics_json(const struct hw_nics *n, const struct json *lldp);
/* Lower case with colons from "01-52-54-…", "52:54:…" or "52-54-…". False: neither. */
bool hw_mac_parse(const char *text, char ret[HW_MAC_SIZE]);
/* The NIC with that MAC; NULL. */
const struct hw_nic *hw_nics_find(const struct hw_nics *n, const char *mac);
