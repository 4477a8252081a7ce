/* Resources of a Redfish service as an inspection takes them: each line is a letter for the kind
 * and the body. Whatever they say, the inventory has numbers that can be, MACs in one notation, and
 * names all that is missing. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bmc/redfish/inventory.h"
#include "net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_number(const struct json *object, const char *member)
{
	int64_t n;
	if (json_get(object, member))
		check(json_int(json_get(object, member), &n) && n > 0);
}

static bool names(const struct json *list, const char *name)
{
	json_for_each(one, list)
		if (streq(json_string(one), name))
			return true;
	return false;
}

static void check_inventory(const struct json *body)
{
	const struct json *inventory = json_get(body, "inventory");
	const struct json *missing = json_get(body, "missing");
	const struct json *nics = json_get(inventory, "interfaces");
	struct net_mac mac;
	json_for_each(nic, nics) {
		const char *text = json_get_string(nic, "mac_address");
		check(text && strlen(text) == 17 && net_parse_mac(text, &mac) == 0);
		check_number(nic, "speed_mbps");
	}
	json_for_each(disk, json_get(inventory, "disks"))
		check_number(disk, "size");
	const struct json *cpu = json_get(inventory, "cpu"),
			  *memory = json_get(inventory, "memory");
	check_number(cpu, "count");
	check_number(memory, "physical_mb");
	check(names(missing, "cpu.count") == !json_get(cpu, "count"));
	check(names(missing, "memory") == !json_get(memory, "physical_mb"));
	check(names(missing, "interfaces") == (json_count(nics) == 0));
	check(names(missing, "disks") == (json_count(json_get(inventory, "disks")) == 0));
}

static void add_line(struct rf_inventory *inv, const char *line, size_t len)
{
	struct json *body = NULL;
	if (len < 2)
		return;
	enum rf_part part = (enum rf_part)((unsigned char)line[0] % _RF_PART_MAX);
	if (json_parse_depth(line + 1, len - 1, 32, &body, NULL) < 0)
		return;
	char *model = rf_adapter_model(body);
	rf_inventory_add(inv, part, body, model);
	(void)rf_inventory_wants(inv, part);
	free(model);
	json_free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_inventory *inv = rf_inventory_new();
	const char *text = (const char *)data, *end = text + size;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		stop = stop ? stop : end;
		add_line(inv, text, (size_t)(stop - text));
		text = stop + 1;
	}
	struct json *body = rf_inventory_take(inv);
	check_inventory(body);
	json_free(body);
	rf_inventory_free(inv);
	return 0;
}
