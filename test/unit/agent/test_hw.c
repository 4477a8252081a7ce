/* The inventory of a made-up machine: a tree of files as /sys and /proc have them. Its shape is
 * compared with what a real agent posted. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/hw/cpu.h"
#include "agent/hw/disks.h"
#include "agent/hw/dmi.h"
#include "agent/hw/inventory.h"
#include "agent/hw/lldp.h"
#include "agent/hw/nics.h"
#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

#define FIXTURES "../shared/fixtures"

static char root[] = "/tmp/ingot-hw-XXXXXX";

/* Makes the directories on the way. */
static void put_bytes(const char *path, const void *data, size_t len)
{
	char full[1024];
	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	FILE *f = fopen(full, "we");
	assert_non_null(f);
	fwrite(data, 1, len, f);
	fclose(f);
}

static void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static void link_to(const char *target, const char *path)
{
	char full[1024];
	snprintf(full, sizeof(full), "%s%s", root, path);
	put(path, "");
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

static void block(const char *name, const char *devpath, const char *sectors,
		  const char *rotational)
{
	char path[256], target[256];
	snprintf(target, sizeof(target), "../devices/%s", devpath);
	snprintf(path, sizeof(path), "/sys/devices/%s/size", devpath);
	put(path, sectors);
	snprintf(path, sizeof(path), "/sys/devices/%s/queue/rotational", devpath);
	put(path, rotational);
	snprintf(path, sizeof(path), "/sys/block/%s", name);
	link_to(target, path);
}

static void make_disks(void)
{
	static const uint8_t serial_page[] = {
		0, 0x80, 0, 8, ' ', 'Q', 'M', '0', '0', '1', ' ', ' '
	};
	uint8_t identify[600] = { 0, 0x89 };
	memset(identify + 60 + 54, ' ', 40);
	static const char model[] = "QEMU HARDDISK IS THIS LONGER THAN 16";
	for (size_t i = 0; model[i]; i++)
		identify[60 + 54 + (i ^ 1)] = (uint8_t)model[i];
	block("vda", "pci0000:00/0000:00:04.0/virtio1/block/vda", "16777216\n", "1\n");
	put("/sys/devices/pci0000:00/0000:00:04.0/virtio1/vendor", "0x1af4\n");
	link_to("../../../virtio1",
		"/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/device");
	put("/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/serial", "disk-one");
	/* ATA behind ahci */
#define ATA "pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0"
	block("sda", ATA "/block/sda", "1000215216\n", "0\n");
	link_to("../../../2:0:0:0", "/sys/devices/" ATA "/block/sda/device");
	put("/sys/devices/" ATA "/vendor", "ATA     \n");
	put("/sys/devices/" ATA "/model", "QEMU HARDDISK IS\n");
	put("/sys/devices/" ATA "/wwid", "naa.5000c50012345678\n");
	put_bytes("/sys/devices/" ATA "/vpd_pg80", serial_page, sizeof(serial_page));
	put_bytes("/sys/devices/" ATA "/vpd_pg89", identify, sizeof(identify));
	put("/sys/devices/" ATA "/block/sda/queue/physical_block_size", "4096\n");
	put("/sys/class/ata_port/ata3/port_no", "1\n");
	put("/sys/class/scsi_host/host2/proc_name", "ahci\n");
}

static void make_more_disks(void)
{
	/* SCSI on virtio, a long NAA, host numbers not from 0 */
#define SCSI "pci0000:00/0000:00:05.0/virtio2/host7/target7:0:3/7:0:3:2"
	block("sdb", SCSI "/block/sdb", "8388608\n", "0\n");
	link_to("../../../7:0:3:2", "/sys/devices/" SCSI "/block/sdb/device");
	put("/sys/devices/" SCSI "/vendor", "QEMU\n");
	put("/sys/devices/" SCSI "/model", "QEMU HARDDISK\n");
	put("/sys/devices/" SCSI "/wwid", "naa.600508b1001c4d41a1b2c3d4e5f60708\n");
	/* NVMe */
#define NVME "pci0000:00/0000:00:06.0/nvme/nvme0/nvme0n1"
	block("nvme0n1", NVME, "2000409264\n", "0\n");
	link_to("../../nvme0", "/sys/devices/" NVME "/device");
	put("/sys/devices/pci0000:00/0000:00:06.0/nvme/nvme0/model", "QEMU NVMe Ctrl  \n");
	put("/sys/devices/pci0000:00/0000:00:06.0/nvme/nvme0/serial", "nv-1\n");
	put("/sys/devices/" NVME "/wwid", "nvme.1b36-6e76-51-00000001\n");
	put("/sys/devices/" NVME "/nsid", "1\n");
	/* a USB stick (removable, small): what we may have been booted from */
#define USB "pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/host9/target9:0:0/9:0:0:0"
	block("sdc", USB "/block/sdc", "2097152\n", "0\n");
	put("/sys/devices/" USB "/block/sdc/removable", "1\n");
	link_to("../../../9:0:0:0", "/sys/devices/" USB "/block/sdc/device");
	/* not disks, or nothing in them */
	block("loop0", "virtual/block/loop0", "100\n", "0\n");
	block("sr0", "pci0000:00/x/block/sr0", "2048\n", "1\n");
	block("ram0", "virtual/block/ram0", "8192\n", "0\n");
	block("sdd", "pci0000:00/0000:00:07.0/block/sdd", "0\n", "0\n");
	/* members of an array */
	block("sde", "pci0000:00/0000:00:08.0/block/sde", "99999999\n", "0\n");
	put("/sys/devices/pci0000:00/0000:00:08.0/block/sde/holders/md0/x", "");
	block("md0", "virtual/block/md0", "99999000\n", "0\n");
}

/* Type 0 with two strings; type 17 of 2 GiB without strings; type 17 in the extended form, 64 GiB;
 * end. */
#define ZEROS_8	 "\0\0\0\0\0\0\0\0"
#define ZEROS_16 ZEROS_8 ZEROS_8
static const char dmi[] = "\0\6\0\0\1\2Sea\0B\0\0"
			  "\x11\x20\1\0" ZEROS_8 "\0\x08" ZEROS_16 "\0\0"
			  "\0\0"
			  "\x11\x20\2\0" ZEROS_8 "\xff\x7f" ZEROS_8 "\0\0\0\0\0\0"
			  "\0\0\1\0"
			  "\0\0"
			  "\x7f\4\3\0\0";

static void make_rest(void)
{
	put_bytes("/sys/firmware/dmi/tables/DMI", dmi, sizeof(dmi));
	put("/proc/meminfo", "MemTotal:        4021020 kB\nMemFree: 1 kB\n");
	put("/proc/cpuinfo",
	    "processor\t: 0\nmodel name\t: QEMU TCG CPU\ncpu MHz\t\t: 2100.5\nflags\t\t: fpu de pse\n\n"
	    "processor\t: 1\nmodel name\t: QEMU TCG CPU\ncpu MHz\t\t: 2100.5\nflags\t\t: fpu de pse\n");
	put("/proc/sys/kernel/hostname", "vm\n");
	put("/sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n");
	put("/sys/devices/system/cpu/cpu1/topology/physical_package_id", "1\n");
	put("/sys/class/dmi/id/product_name", "Standard PC\n");
	put("/sys/class/dmi/id/sys_vendor", "QEMU\n");
	put("/sys/class/dmi/id/bios_vendor", "SeaBIOS\n");
	put("/sys/class/dmi/id/bios_version", "1.16\n");
	put("/sys/class/dmi/id/bios_date", "04/01/2014\n");
	put("/sys/class/net/lo/address", "00:00:00:00:00:00\n");
	put("/sys/class/net/eth0x/address", "52:54:00:AB:CD:EF\n");
	put("/sys/class/net/eth0x/carrier", "1\n");
	put("/sys/class/net/eth0x/speed", "-1\n");
	put("/sys/devices/pci0000:00/0000:00:03.0/virtio0/vendor", "0x1af4\n");
	put("/sys/devices/pci0000:00/0000:00:03.0/virtio0/device", "0x0001\n");
	link_to("../../../devices/pci0000:00/0000:00:03.0/virtio0", "/sys/class/net/eth0x/device");
	link_to("../../../../bus/virtio/drivers/virtio_net",
		"/sys/devices/pci0000:00/0000:00:03.0/virtio0/driver");
	put("/sys/class/net/eth1x/address", "52:54:00:ab:cd:f0\n");
	put("/sys/class/net/eth1x/speed", "10000\n");
	put("/sys/class/net/eth1x/device/vendor", "0x8086\n");
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	make_disks();
	make_more_disks();
	make_rest();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static const struct hw_disk *find(const struct hw_disks *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++)
		if (streq(d->items[i].name, name))
			return &d->items[i];
	fail_msg("no %s", name);
	return NULL;
}

static void test_disks(void **state)
{
	(void)state;
	struct hw_disks d = hw_disks_read(root);
	assert_int_equal(d.count, 7);
	const struct hw_disk *k = find(&d, "/dev/vda");
	assert_int_equal(k->size, UINT64_C(16777216) * 512);
	assert_true(k->rotational);
	assert_string_equal(k->vendor, "0x1af4");
	assert_string_equal(k->serial, "disk-one");
	assert_string_equal(k->by_path, "/dev/disk/by-path/pci-0000:00:04.0");
	assert_string_equal(k->tran, "virtio");
	assert_null(k->wwn);
	assert_null(k->hctl);
	k = find(&d, "/dev/sda");
	assert_string_equal(k->model, "QEMU HARDDISK IS THIS LONGER THAN 16");
	assert_string_equal(k->serial, "QM001");
	assert_string_equal(k->wwn, "0x5000c50012345678");
	assert_string_equal(k->wwn_with_extension, "0x5000c50012345678");
	assert_null(k->wwn_vendor_extension);
	assert_string_equal(k->hctl, "2:0:0:0");
	assert_string_equal(k->by_path, "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0");
	assert_string_equal(k->by_paths.items[1], "/dev/disk/by-path/pci-0000:00:1f.2-ata-1");
	assert_string_equal(k->tran, "sata");
	assert_int_equal(k->logical, 512);
	assert_int_equal(k->physical, 4096);
	assert_false(k->rotational);
	k = find(&d, "/dev/sdb");
	assert_string_equal(k->wwn, "0x600508b1001c4d41");
	assert_string_equal(k->wwn_vendor_extension, "0xa1b2c3d4e5f60708");
	assert_string_equal(k->by_path, "/dev/disk/by-path/pci-0000:00:05.0-scsi-0:0:3:2");
	assert_null(k->tran);
	k = find(&d, "/dev/nvme0n1");
	assert_string_equal(k->model, "QEMU NVMe Ctrl");
	assert_string_equal(k->serial, "nv-1");
	assert_string_equal(k->wwn, "nvme.1b36-6e76-51-00000001");
	assert_string_equal(k->by_path, "/dev/disk/by-path/pci-0000:00:06.0-nvme-1");
	assert_string_equal(k->tran, "nvme");
	k = find(&d, "/dev/sdc");
	assert_true(k->media);
	assert_string_equal(k->by_path,
			    "/dev/disk/by-path/pci-0000:00:14.0-usb-0:3:1.0-scsi-0:0:0:0");
	assert_string_equal(k->tran, "usb");
	assert_true(find(&d, "/dev/sde")->member);
	assert_true(hw_disk_usable(find(&d, "/dev/md0")));
	/* Default: the smallest of at least 4 GiB that may be used. */
	assert_string_equal(hw_disks_root(&d, NULL, NULL)->name, "/dev/sdb");
	struct json *hints = json_new_object();
	json_set_string(hints, "by_path", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1");
	assert_string_equal(hw_disks_root(&d, hints, NULL)->name, "/dev/sda");
	json_set_string(hints, "by_path",
			"/dev/disk/by-path/pci-0000:00:14.0-usb-0:3:1.0-scsi-0:0:0:0");
	assert_null(hw_disks_root(&d, hints, NULL));
	json_free(hints);
	hw_disks_done(&d);
}

/* --- machines of other people ---------------------------------------------------------------- */

/* Each begins with an empty tree. */
static void forget_machine(void)
{
	char command[64];
	snprintf(command, sizeof(command), "rm -rf %s/*", root);
	assert_int_equal(system(command), 0);
}

static void scsi_disk(const char *name, const char *device, const char *vendor, const char *model)
{
	char path[512], target[512];
	const char *hctl = strrchr(device, '/') + 1;
	snprintf(path, sizeof(path), "%s/block/%s", device, name);
	block(name, path, "33554432\n", "0\n");
	snprintf(path, sizeof(path), "/sys/devices/%s/block/%s/device", device, name);
	snprintf(target, sizeof(target), "../../../%s", hctl);
	link_to(target, path);
	snprintf(path, sizeof(path), "/sys/devices/%s/vendor", device);
	put(path, vendor);
	snprintf(path, sizeof(path), "/sys/devices/%s/model", device);
	put(path, model);
}

static void scsi_file(const char *device, const char *file, const void *data, size_t len)
{
	char path[512];
	snprintf(path, sizeof(path), "/sys/devices/%s/%s", device, file);
	put_bytes(path, data, len);
}

static void serial_page(const char *device, const char *serial)
{
	uint8_t page[256] = { 0, 0x80, 0, (uint8_t)strlen(serial) };
	memcpy(page + 4, serial, page[3]);
	scsi_file(device, "vpd_pg80", page, 4 + strlen(serial));
}

/* What a hint chooses: the disk's name, or the words of the refusal must hold `otherwise`. */
static void check_hint(const char *key, const char *value, const char *name, const char *otherwise)
{
	struct hw_disks d = hw_disks_read(root);
	struct json *hints = json_new_object();
	struct err err = { 0 };
	_cleanup_(freep) char *text = xasprintf("s== %s", value);
	json_set_string(hints, key, text);
	const struct hw_disk *found = hw_disks_root(&d, hints, &err);
	if (!streq(found ? found->name : NULL, name))
		fail_msg("%s %s: %s (%s)", key, value, found ? found->name : "none", err.text);
	if (!found && (!otherwise || !strstr(err.text, otherwise)))
		fail_msg("%s %s: %s", key, value, err.text);
	json_free(hints);
	hw_disks_done(&d);
}

#define VMD_BUS "pci0000:85/0000:85:05.5/pci10000:00/10000:00:00.0/10000:01:00.0/"

static void nvme_disk(const char *name, const char *controller, const char *serial)
{
	char path[512], *p = path;
	snprintf(path, sizeof(path), "%s/%s", controller, name);
	block(name, path, "33554432\n", "0\n");
	snprintf(p, sizeof(path), "/sys/devices/%s/%s/nsid", controller, name);
	put(path, "1\n");
	snprintf(p, sizeof(path), "/sys/devices/%s/%s/device", controller, name);
	link_to("..", path);
	snprintf(p, sizeof(path), "/sys/devices/%s/serial", controller);
	put(path, serial);
	snprintf(p, sizeof(path), "/sys/devices/%s/model", controller);
	put(path, "Dell Ent NVMe \n");
}

static void test_vmd(void **state)
{
	(void)state;
	static const char one[] = "/dev/disk/by-path/pci-0000:85:05.5-pci-10000:04:00.0-nvme-1";
	static const char two[] = "/dev/disk/by-path/pci-0000:85:05.5-pci-10000:06:00.0-nvme-1";
	forget_machine();
	nvme_disk("nvme0n1", VMD_BUS "10000:02:01.0/10000:04:00.0/nvme/nvme0", "SER0\n");
	nvme_disk("nvme2n1", VMD_BUS "10000:02:03.0/10000:06:00.0/nvme/nvme2", "SER2\n");
	struct hw_disks d = hw_disks_read(root);
	assert_string_equal(find(&d, "/dev/nvme0n1")->by_path, one);
	assert_string_equal(find(&d, "/dev/nvme2n1")->by_path, two);
	hw_disks_done(&d);
	check_hint("by_path", one, "/dev/nvme0n1", NULL);
	check_hint("by_path", two, "/dev/nvme2n1", NULL);
	check_hint("name", two, "/dev/nvme2n1", NULL);
}

/* The same place for two disks, as a bus gives that path_id does not know well enough: here the two
 * root hubs of one USB controller. The name by revision tells them apart. */
static void test_shared_name(void **state)
{
	(void)state;
	static const char shared[] = "/dev/disk/by-path/pci-0000:00:14.0-usb-0:3:1.0-scsi-0:0:0:0";
#define USB2 "pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/host8/target8:0:0/8:0:0:0"
#define USB3 "pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/host9/target9:0:0/9:0:0:0"
	forget_machine();
	scsi_disk("sda", USB2, "One", "Disk");
	scsi_disk("sdb", USB3, "Two", "Disk");
	struct hw_disks d = hw_disks_read(root);
	assert_null(find(&d, "/dev/sda")->by_path);
	assert_null(find(&d, "/dev/sdb")->by_path);
	struct json *j = hw_disk_json(find(&d, "/dev/sda"));
	assert_true(json_is_null(json_get(j, "by_path")));
	json_free(j);
	hw_disks_done(&d);
	check_hint("by_path", shared, NULL, "match several disks: /dev/sda (16.0 GiB), /dev/sdb");
	check_hint("name", shared, NULL, "match several disks");
	put("/sys/devices/pci0000:00/0000:00:14.0/usb1/bDeviceProtocol", "01\n");
	put("/sys/devices/pci0000:00/0000:00:14.0/usb2/bDeviceProtocol", "03\n");
	check_hint("by_path", shared, NULL, "match several disks");
	check_hint("by_path", "/dev/disk/by-path/pci-0000:00:14.0-usbv3-0:3:1.0-scsi-0:0:0:0",
		   "/dev/sdb", NULL);
	d = hw_disks_read(root);
	assert_string_equal(find(&d, "/dev/sda")->by_path,
			    "/dev/disk/by-path/pci-0000:00:14.0-usbv2-0:3:1.0-scsi-0:0:0:0");
	hw_disks_done(&d);
}

/* canonical/lxd#7313: the path is hidden and has no device node. */
static void test_nvme_multipath(void **state)
{
	(void)state;
#define CONTROLLER "pci0000:00/0000:00:03.0/0000:04:00.0/nvme/nvme0"
#define SUBSYSTEM  "virtual/nvme-subsystem/nvme-subsys0"
	forget_machine();
	nvme_disk("nvme0c0n1", CONTROLLER, "S4CC\n");
	put("/sys/devices/" CONTROLLER "/nvme0c0n1/hidden", "1\n");
	nvme_disk("nvme0n1", SUBSYSTEM, "S4CC\n");
	put("/sys/devices/" SUBSYSTEM "/nvme0n1/hidden", "0\n");
	link_to("../../../pci0000:00/0000:00:03.0/0000:04:00.0/nvme/nvme0",
		"/sys/devices/" SUBSYSTEM "/nvme0");
	struct hw_disks d = hw_disks_read(root);
	assert_int_equal(d.count, 1);
	assert_string_equal(d.items[0].name, "/dev/nvme0n1");
	assert_string_equal(d.items[0].by_path, "/dev/disk/by-path/pci-0000:04:00.0-nvme-1");
	assert_string_equal(d.items[0].tran, "nvme");
	hw_disks_done(&d);
}

/* canonical/lxd#15169: VPD 0x80 of each volume is the controller's serial number. */
static void test_serials_of_raid(void **state)
{
	(void)state;
#define HPSA(lun) "pci0000:00/0000:00:02.2/0000:03:00.0/host0/target0:1:0/0:1:0:" lun
	static const char wwid[] = "naa.600508b1001cc7efd85211aea101823d";
	static const uint8_t identifiers[] = { 0,    0x83, 0,	 20,   1,    3,	   0,	 16,
					       0x60, 0x05, 0x08, 0xb1, 0x00, 0x1c, 0x62, 0x55,
					       0x69, 0xd1, 0x47, 0x6d, 0x79, 0xd3, 0x41, 0x1e };
	forget_machine();
	scsi_disk("sda", HPSA("0"), "HP", "LOGICAL VOLUME");
	scsi_disk("sdb", HPSA("1"), "HP", "LOGICAL VOLUME");
	serial_page(HPSA("0"), "PDNLH0BRH58322 ");
	serial_page(HPSA("1"), "PDNLH0BRH58322 ");
	scsi_file(HPSA("0"), "wwid", wwid, strlen(wwid));
	scsi_file(HPSA("1"), "vpd_pg83", identifiers, sizeof(identifiers));
	check_hint("serial", "600508b1001cc7efd85211aea101823d", "/dev/sda", NULL);
	check_hint("serial", "3600508b1001cc7efd85211aea101823d", "/dev/sda", NULL);
	check_hint("serial", "600508b1001c625569d1476d79d3411e", "/dev/sdb", NULL);
	check_hint("serial", "3600508B1001C625569D1476D79D3411E", "/dev/sdb", NULL);
	check_hint("serial", "PDNLH0BRH58322", NULL,
		   "match several disks: /dev/sda (16.0 GiB), /dev/sdb (16.0 GiB)");
	struct hw_disks d = hw_disks_read(root);
	/* As lsblk shows it. */
	assert_string_equal(find(&d, "/dev/sdb")->serial, "PDNLH0BRH58322");
	hw_disks_done(&d);
}

static void put_swapped(uint8_t *at, size_t size, const char *text)
{
	for (size_t i = 0; i < size; i++)
		at[i ^ 1] = i < strlen(text) ? (uint8_t)text[i] : ' ';
}

/* Each form that lsblk and udev show, for each kind of disk. */
static void test_serials(void **state)
{
	(void)state;
#define ATA2 "pci0000:00/0000:00:17.0/ata9/host8/target8:0:0/8:0:0:0"
#define SAS2 "pci0000:00/0000:00:02.0/0000:02:00.0/host0/target0:0:0/0:0:0:0"
#define OLD  "pci0000:00/0000:00:02.0/0000:02:00.0/host0/target0:0:1/0:0:1:0"
#define USB4 "pci0000:00/0000:00:14.0/usb1/1-3/1-3.1/1-3.1:1.0/host9/target9:0:0/9:0:0:1"
	static const char wwid[] = "naa.5002538a487db5e0";
	uint8_t identify[600] = { 0, 0x89 };
	forget_machine();
	scsi_disk("sda", ATA2, "ATA", "DELLBOSS VD");
	serial_page(ATA2, "00f1e2d3c4b5a697");
	put_swapped(identify + 60 + 20, 20, "    00f1e2d3c4b5a697");
	put_swapped(identify + 60 + 54, 40, "DELLBOSS  VD");
	scsi_file(ATA2, "vpd_pg89", identify, sizeof(identify));
	scsi_disk("sdb", SAS2, "SAMSUNG", "MZILT960HAHQ/007");
	serial_page(SAS2, "S3FVNX0K703828");
	scsi_file(SAS2, "wwid", wwid, strlen(wwid));
	scsi_disk("sdc", OLD, "FUJITSU", "MAX3073RC");
	serial_page(OLD, "DQ00 P6B");
	scsi_disk("sdd", USB4, "SanDisk", "Ultra Fit");
	put("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3.1/serial", "4C530001\n");
	nvme_disk("nvme0n1", "pci0000:00/0000:01:00.0/nvme/nvme0", "PHM2 1\n");
	block("vda", "pci0000:00/0000:00:04.0/virtio1/block/vda", "16777216\n", "1\n");
	put("/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/serial", "disk-one");
	block("dm-0", "virtual/block/dm-0", "16777216\n", "1\n");
	put("/sys/devices/virtual/block/dm-0/dm/uuid", "mpath-360000000000000000e00000000010001\n");
	static const struct {
		const char *serial, *disk;
	} shown[] = {
		{ "00f1e2d3c4b5a697", "/dev/sda" },
		{ "DELLBOSS_VD_00f1e2d3c4b5a697", "/dev/sda" },
		{ "S3FVNX0K703828", "/dev/sdb" },
		{ "5002538a487db5e0", "/dev/sdb" },
		{ "35002538a487db5e0", "/dev/sdb" },
		{ "DQ00 P6B", "/dev/sdc" },
		{ "DQ00_P6B", "/dev/sdc" },
		{ "SFUJITSU_MAX3073RC_DQ00_P6B", "/dev/sdc" },
		{ "4C530001", "/dev/sdd" },
		{ "SanDisk_Ultra_Fit_4C530001-0:1", "/dev/sdd" },
		{ "PHM2 1", "/dev/nvme0n1" },
		{ "Dell_Ent_NVMe_PHM2_1", "/dev/nvme0n1" },
		{ "Dell_Ent_NVMe_PHM2_1_1", "/dev/nvme0n1" },
		{ "disk-one", "/dev/vda" },
		{ "360000000000000000e00000000010001", "/dev/dm-0" },
		{ "60000000000000000e00000000010001", "/dev/dm-0" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		check_hint("serial", shown[i].serial, shown[i].disk, NULL);
	check_hint("wwn", "0x60000000000000000e00000000010001", "/dev/dm-0", NULL);
	check_hint("serial", "4C530002", NULL, "no disk matches");
}

static const char *type_name(const struct json *j)
{
	static const char *const names[] = {
		"null", "bool", "number", "string", "array", "object"
	};
	return names[json_type(j)];
}

/* Every member of `theirs` is in `ours`, with the same type or null on one side. */
static void compare_shape(const char *where, const struct json *theirs, const struct json *ours)
{
	if (json_is_null(theirs) || json_is_null(ours))
		return;
	if (json_type(theirs) != json_type(ours))
		fail_msg("%s: %s there, %s here", where, type_name(theirs), type_name(ours));
	if (json_is_array(theirs)) {
		if (json_count(theirs) > 0 && json_count(ours) > 0)
			compare_shape(where, json_at(theirs, 0), json_at(ours, 0));
		return;
	}
	json_for_each(member, theirs) {
		char path[256];
		const char *key = json_key(member);
		snprintf(path, sizeof(path), "%s.%s", where, key ? key : "");
		if (!key)
			continue;
		if (!json_get(ours, key))
			fail_msg("%s is missing", path);
		compare_shape(path, member, json_get(ours, key));
	}
}

static void test_inventory(void **state)
{
	(void)state;
	const struct hw_inventory_options options = { .root = root,
						      .bootif = "01-52-54-00-ab-cd-ef",
						      .pci_devices = true,
						      .numa_topology = true };
	struct json *j = hw_inventory(&options);
	assert_string_equal(json_get_path_string(j, "inventory.cpu.frequency"), "2100.5000");
	assert_string_equal(json_get_path_string(j, "inventory.cpu.model_name"), "QEMU TCG CPU");
	const struct json *cpu = json_get_path(j, "inventory.cpu");
	assert_int_equal(json_get_int(cpu, "count", 0), 2);
	assert_int_equal(json_get_int(cpu, "socket_count", 0), 2);
	assert_int_equal(json_count(json_get(cpu, "flags")), 3);
	const struct json *memory = json_get_path(j, "inventory.memory");
	assert_int_equal(json_get_int(memory, "total", 0), 4117524480);
	assert_int_equal(json_get_int(memory, "physical_mb", 0), 2048 + 65536);
	const struct json *nics = json_get_path(j, "inventory.interfaces");
	assert_int_equal(json_count(nics), 2); /* without lo */
	const struct json *eth0 = json_at(nics, 0);
	assert_string_equal(json_get_string(eth0, "mac_address"), "52:54:00:ab:cd:ef");
	assert_string_equal(json_get_string(eth0, "pci_address"), "virtio0");
	assert_string_equal(json_get_string(eth0, "driver"), "virtio_net");
	assert_string_equal(json_get_string(eth0, "product"), "0x0001");
	assert_true(json_get_bool(eth0, "has_carrier", false));
	assert_true(json_is_null(json_get(eth0, "speed_mbps")));
	assert_int_equal(json_get_int(json_at(nics, 1), "speed_mbps", 0), 10000);
	assert_false(json_get_bool(json_at(nics, 1), "has_carrier", true));
	assert_string_equal(json_get_string(j, "boot_interface"), "52:54:00:ab:cd:ef");
	assert_string_equal(json_get_path_string(j, "inventory.boot.pxe_interface"),
			    "01-52-54-00-ab-cd-ef");
	assert_string_equal(json_get_path_string(j, "inventory.boot.current_boot_mode"), "bios");
	assert_string_equal(json_get_path_string(j, "inventory.hostname"), "vm");
	assert_string_equal(json_get_path_string(j, "inventory.system_vendor.firmware.vendor"),
			    "SeaBIOS");
	assert_string_equal(json_get_path_string(j, "inventory.system_vendor.serial_number"), "");
	assert_string_equal(json_get_path_string(j, "root_disk.name"), "/dev/sdb");
	assert_int_equal(json_count(json_get_path(j, "inventory.disks")), 5);
	json_free(j);
}

static void test_shape_of_the_fixture(void **state)
{
	(void)state;
	FILE *f = fopen(FIXTURES "/ipa-10.2-continue-inspection.json", "re");
	if (!f) {
		print_message("skipped: " FIXTURES " is not here\n");
		skip();
	}
	char text[16384];
	size_t len = fread(text, 1, sizeof(text), f);
	fclose(f);
	struct json *theirs = NULL;
	assert_int_equal(json_parse(text, len, &theirs, NULL), 0);
	const struct hw_inventory_options options = { .root = root };
	struct json *ours = hw_inventory(&options);
	/* The session adds the rest of the body. */
	json_remove(theirs, "configuration");
	json_remove(theirs, "logs");
	json_remove(theirs, "error");
	compare_shape("body", theirs, ours);
	json_free(theirs);
	json_free(ours);
}

static void test_mac(void **state)
{
	(void)state;
	static const struct {
		const char *text, *mac;
	} rows[] = {
		{ "01-52-54-00-AB-cd-ef", "52:54:00:ab:cd:ef" },
		{ "52:54:00:ab:cd:ef", "52:54:00:ab:cd:ef" },
		{ "52-54-00-ab-cd-ef", "52:54:00:ab:cd:ef" },
		{ "525400abcdef", NULL },
		{ "52:54:00:ab:cd", NULL },
		{ "52:54:00-ab:cd:ef", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char mac[HW_MAC_SIZE];
		assert_int_equal(hw_mac_parse(rows[i].text, mac), rows[i].mac != NULL);
		if (rows[i].mac)
			assert_string_equal(mac, rows[i].mac);
	}
}

static void test_lldp(void **state)
{
	(void)state;
	static const uint8_t frame[] = { 1,   0x80, 0xc2, 0,	0,    0x0e, 2,	 0,   0,    0,	  0,
					 1,   0x88, 0xcc, 0x02, 0x03, 7,    'a', 'b', 0x04, 0x02, 5,
					 'p', 0x06, 0x02, 0,	120,  0,    0,	 9,   9 };
	struct json *j = hw_lldp_parse(frame, sizeof(frame));
	char *text = json_to_string(j);
	assert_string_equal(text, "[[1,\"076162\"],[2,\"0570\"],[3,\"0078\"]]");
	free(text);
	json_free(j);
	j = hw_lldp_parse(frame, 17); /* cut in the first TLV */
	assert_int_equal(json_count(j), 0);
	json_free(j);
	assert_null(hw_lldp_parse(frame, 13));
	assert_null(hw_lldp_parse("not a frame, not a frame", 24));
}

/* /proc/cpuinfo of a large machine is longer than other files are read; the count is the sum of its
 * lines. s390 writes them differently. */
static void test_many_processors(void **state)
{
	(void)state;
	enum { CPUS = 1152 };
	struct strbuf text = { 0 };
	forget_machine();
	for (unsigned i = 0; i < CPUS; i++) {
		strbuf_addf(&text, "processor\t: %u\nmodel name\t: Big Iron\nflags\t\t:", i);
		for (unsigned n = 0; n < 250; n++)
			strbuf_addf(&text, " flag%u", n);
		strbuf_adds(&text, "\n\n");
	}
	assert_true(text.len > 2 * HW_FILE_MAX);
	put("/proc/cpuinfo", text.data);
	strbuf_done(&text);
	struct json *j = hw_cpu_json(root, "x86_64");
	assert_int_equal(json_get_int(j, "count", 0), CPUS);
	assert_int_equal(json_count(json_get(j, "flags")), 250);
	json_free(j);
	put("/proc/cpuinfo", "vendor_id       : IBM/S390\n# processors    : 2\n"
			     "features\t: esan3 zarch\n"
			     "processor 0: version = FF,  identification = 1\n"
			     "processor 1: version = FF,  identification = 2\n");
	j = hw_cpu_json(root, "s390x");
	assert_int_equal(json_get_int(j, "count", 0), 2);
	json_free(j);
}

static void test_hostname(void **state)
{
	(void)state;
	static const char *const unset[] = { "(none)\n", "\n", NULL };
	const struct hw_inventory_options options = { .root = root };
	for (size_t i = 0; unset[i]; i++) {
		put("/proc/sys/kernel/hostname", unset[i]);
		struct json *j = hw_inventory(&options);
		assert_string_equal(json_get_path_string(j, "inventory.hostname"), "localhost");
		json_free(j);
	}
}

/* The real machine must not crash it. */
static void test_this_machine(void **state)
{
	(void)state;
	const struct hw_inventory_options options = { .root = "" };
	struct json *j = hw_inventory(&options);
	assert_true(json_get_int(json_get_path(j, "inventory.cpu"), "count", 0) > 0);
	char *macs = hw_mac_list("");
	free(macs);
	json_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_inventory),
		cmocka_unit_test(test_shape_of_the_fixture),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_lldp),
		cmocka_unit_test(test_this_machine),
		/* Of their own trees. */
		cmocka_unit_test(test_many_processors),
		cmocka_unit_test(test_hostname),
		cmocka_unit_test(test_vmd),
		cmocka_unit_test(test_shared_name),
		cmocka_unit_test(test_nvme_multipath),
		cmocka_unit_test(test_serials_of_raid),
		cmocka_unit_test(test_serials),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
