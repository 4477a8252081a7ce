#pragma once
/* What a Redfish service tells of a machine, put together in the form in which agents post it.
 * Resources are given as they come; what they do not say stays absent, and is never a zero. Read by
 * the schemas (DSP0268) and with the gaps that services have: null for absent, texts with blanks
 * around them, fillers in place of serial numbers, empty bays that are listed, one drive listed
 * twice. Pure. any thread */

#include "json/json.h"

enum rf_part {
	RF_PART_SYSTEM,
	RF_PART_PROCESSOR,
	RF_PART_MEMORY,
	RF_PART_INTERFACE,	   /* EthernetInterface */
	RF_PART_NETWORK_INTERFACE, /* leads to an adapter */
	RF_PART_ADAPTER,
	RF_PART_FUNCTION, /* NetworkDeviceFunction of an adapter */
	RF_PART_PORT,	  /* Port or NetworkPort of an adapter */
	RF_PART_STORAGE,
	RF_PART_SIMPLE_STORAGE,
	RF_PART_DRIVE,
	RF_PART_VOLUME,
	RF_PART_CHASSIS,
	_RF_PART_MAX,
};

struct rf_inventory;

struct rf_inventory *rf_inventory_new(void);
struct rf_inventory *rf_inventory_free(struct rf_inventory *inv);
/* Of functions and ports `context` is the model of their adapter (may be NULL), of drives and
 * volumes the name of their controller; of others it is not read. */
void rf_inventory_add(struct rf_inventory *inv, enum rf_part part, const struct json *resource,
		      const char *context);
/* A resource that should be there and could not be read: told with the result. */
void rf_inventory_skipped(struct rf_inventory *inv, const char *path, const char *why);
/* Is it of use to read resources of this kind, too, beside those that were added? */
bool rf_inventory_wants(const struct rf_inventory *inv, enum rf_part part);
/* "Manufacturer Model" of an adapter, as context of its parts. New string. */
char *rf_adapter_model(const struct json *adapter);
/* The inspection's body: "inventory"; "missing", the list of what hosts need and the service does
 * not tell ("memory", "cpu.architecture", "cpu.count", "interfaces", "disks"); "skipped". */
struct json *rf_inventory_take(struct rf_inventory *inv);
