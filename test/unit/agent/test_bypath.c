/* by-path names of one disk on each bus. The device trees are in umockdev's format, so that udev's
 * own path_id can be asked about the same tree where both programs are installed; each is also read
 * as a bare tree, without links to subsystems. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/hw/bypath.h"
#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

#define DIRECTORY "/dev/disk/by-path/"

/* --- trees ----------------------------------------------------------------------------------- */

#define DEVICE(path, subsystem) "P: /devices/" path "\nE: SUBSYSTEM=" subsystem "\n"
#define ATTRIBUTE(key, value)	"A: " key "=" value "\n"
#define END			"\n"
/* A device without attributes. */
#define PLAIN(path, subsystem) DEVICE(path, subsystem) END
#define PCI(path)	       PLAIN(path, "pci")
#define NONE(path)	       PLAIN(path, "none")
#define DISK(path)                                                                                 \
	"P: /devices/" path "\nE: SUBSYSTEM=block\nE: DEVTYPE=disk\nE: DEVNAME=/dev/x\nE: "        \
	"MAJOR=8\nE: MINOR=0\nN: x\n"
#define SCSI(path, type) DEVICE(path, "scsi") "E: DEVTYPE=" type "\n" END

#define P0     "pci0000:00"
#define BRIDGE P0 "/0000:00:02.0"
#define HBA    BRIDGE "/0000:02:00.0"
#define HBAS   PCI(BRIDGE) PCI(HBA)

#define VMD  "pci0000:85/0000:85:05.5"
#define VMD2 VMD "/pci10000:00/10000:00:00.0"
#define VMD3 VMD2 "/10000:04:00.0/nvme/nvme0"

#define SUBSYS "virtual/nvme-subsystem/nvme-subsys0"
#define FABRIC "virtual/nvme-fabrics/ctl/nvme0"

#define AHCI  P0 "/0000:00:1f.2"
#define ATA   AHCI "/ata3/host2"
#define PORT  PLAIN(AHCI "/ata3", "none") DEVICE(AHCI "/ata3/ata_port/ata3", "ata_port")
#define DISK2 ATA "/target2:0:1/2:0:1:0"
#define DISK3 ATA "/target2:3:0/2:3:0:0"

#define SAS	HBA "/host0/port-0:2/end_device-0:2"
#define EXP	HBA "/host0/port-0:0/expander-0:0"
#define SAS_EXP EXP "/port-0:0:1/end_device-0:0:1"
#define SAS_DISK(dev, t)                                                                           \
	NONE(dev)                                                                                  \
	SCSI(dev "/target" t, "scsi_target") SCSI(dev "/target" t "/" t ":0", "scsi_device")

#define FC    HBA "/host7/rport-7:0-2"
#define ISCSI "platform/host6/session1"
#define USB   P0 "/0000:00:14.0/usb2"
#define STICK USB "/2-1/2-1.4/2-1.4:1.0"
#define CSS   "css0/0.0.0002/0.0.1900"
#define HV    "LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"
#define GUID  "f8b3781a-1e82-4818-a1c3-63d806ec15bb"
#define HVPCI HV "/1f3781a2-1e82-4818-a1c3-63d806ec15bb/pci4f3a:00/4f3a:00:00.0"
#define RAID  HBA "/host4"

static const struct row {
	const char *what, *disk, *tree;
	const char *names[HW_PATH_NAMES_MAX]; /* none: udev gives none */
	/* How systemd 252 differs from the newer releases that are followed. */
	const char *oracle_differs;
	/* The names of its directories do not tell what they are. */
	bool needs_links;
} rows[] = {
	{ "NVMe behind two bridges",
	  HBA "/nvme/nvme3/nvme3n2",
	  HBAS PLAIN(HBA "/nvme/nvme3", "nvme") DISK(HBA "/nvme/nvme3/nvme3n2")
		  ATTRIBUTE("nsid", "2"),
	  { "pci-0000:02:00.0-nvme-2" },
	  NULL,
	  false },
	{ "NVMe without a namespace ID",
	  HBA "/nvme/nvme3/nvme3n2",
	  HBAS PLAIN(HBA "/nvme/nvme3", "nvme") DISK(HBA "/nvme/nvme3/nvme3n2"),
	  { NULL },
	  NULL,
	  false },
	{ "NVMe behind Intel VMD",
	  VMD3 "/nvme0n1",
	  PCI(VMD) NONE(VMD "/pci10000:00") PCI(VMD2) PCI(VMD2 "/10000:04:00.0") PLAIN(VMD3, "nvme")
		  DISK(VMD3 "/nvme0n1") ATTRIBUTE("nsid", "1"),
	  { "pci-0000:85:05.5-pci-10000:04:00.0-nvme-1" },
	  NULL,
	  false },
	{ "NVMe behind Hyper-V's PCI",
	  HVPCI "/nvme/nvme0/nvme0n1",
	  PLAIN(HV, "acpi") PLAIN(HV "/1f3781a2-1e82-4818-a1c3-63d806ec15bb", "vmbus")
		  NONE(HV "/1f3781a2-1e82-4818-a1c3-63d806ec15bb/pci4f3a:00") PCI(HVPCI)
			  PLAIN(HVPCI "/nvme/nvme0", "nvme") DISK(HVPCI "/nvme/nvme0/nvme0n1")
				  ATTRIBUTE("nsid", "1"),
	  { "acpi-VMBUS:00-pci-4f3a:00:00.0-nvme-1" },
	  NULL,
	  false },
	{ "NVMe's own multipathing",
	  SUBSYS "/nvme0n1",
	  HBAS PLAIN(HBA "/nvme/nvme0", "nvme") PLAIN(SUBSYS, "nvme-subsystem")
		  DISK(SUBSYS "/nvme0n1") ATTRIBUTE("nsid", "1"),
	  { "pci-0000:02:00.0-nvme-1" },
	  NULL,
	  true },
	{ "NVMe over fabrics, multipath",
	  SUBSYS "/nvme0n1",
	  PLAIN("virtual/nvme-fabrics/ctl", "nvme-fabrics") PLAIN(FABRIC, "nvme")
		  PLAIN(SUBSYS, "nvme-subsystem") DISK(SUBSYS "/nvme0n1") ATTRIBUTE("nsid", "1"),
	  { NULL },
	  "names all of them nvme-1, until 255",
	  false },
	{ "NVMe over fabrics",
	  FABRIC "/nvme0n1",
	  PLAIN("virtual/nvme-fabrics/ctl", "nvme-fabrics") PLAIN(FABRIC, "nvme")
		  DISK(FABRIC "/nvme0n1") ATTRIBUTE("nsid", "1"),
	  { NULL },
	  "its rules do not ask about virtual devices",
	  false },
	{ "SATA",
	  DISK2 "/block/sda",
	  PCI(AHCI) PORT ATTRIBUTE("port_no", "1") END SCSI(ATA, "scsi_host")
		  SCSI(ATA "/target2:0:1", "scsi_target") SCSI(DISK2, "scsi_device")
			  DISK(DISK2 "/block/sda"),
	  { "pci-0000:00:1f.2-ata-1.1", "pci-0000:00:1f.2-ata-1" },
	  NULL,
	  false },
	{ "SATA behind a port multiplier",
	  DISK3 "/block/sda",
	  PCI(AHCI) PORT ATTRIBUTE("port_no", "1") END SCSI(ATA, "scsi_host")
		  SCSI(ATA "/target2:3:0", "scsi_target") SCSI(DISK3, "scsi_device")
			  DISK(DISK3 "/block/sda"),
	  { "pci-0000:00:1f.2-ata-1.3.0", "pci-0000:00:1f.2-ata-1" },
	  NULL,
	  false },
	{ "SATA, port unknown",
	  DISK2 "/block/sda",
	  PCI(AHCI) NONE(AHCI "/ata3") SCSI(ATA, "scsi_host")
		  SCSI(ATA "/target2:0:1", "scsi_target") SCSI(DISK2, "scsi_device")
			  DISK(DISK2 "/block/sda"),
	  { NULL },
	  NULL,
	  false },
	{ "SAS",
	  SAS "/target0:0:2/0:0:2:0/block/sdx",
	  HBAS SCSI(HBA "/host0", "scsi_host") NONE(HBA "/host0/port-0:2") DEVICE(
		  HBA "/host0/port-0:2/sas_port/port-0:2", "sas_port") ATTRIBUTE("num_phys", "1")
		  END SAS_DISK(SAS, "0:0:2") DEVICE(SAS "/sas_device/end_device-0:2", "sas_device")
			  ATTRIBUTE("phy_identifier", "3") ATTRIBUTE("sas_address", "0x5000c5001")
				  END DISK(SAS "/target0:0:2/0:0:2:0/block/sdx"),
	  { "pci-0000:02:00.0-sas-phy3-lun-0" },
	  NULL,
	  false },
	{ "SAS, a wide port",
	  SAS "/target0:0:2/0:0:2:0/block/sdx",
	  HBAS SCSI(HBA "/host0", "scsi_host") NONE(HBA "/host0/port-0:2") DEVICE(
		  HBA "/host0/port-0:2/sas_port/port-0:2", "sas_port") ATTRIBUTE("num_phys", "4")
		  END SAS_DISK(SAS, "0:0:2") DEVICE(SAS "/sas_device/end_device-0:2", "sas_device")
			  ATTRIBUTE("phy_identifier", "3") ATTRIBUTE("sas_address", "0x5000c5001")
				  END DISK(SAS "/target0:0:2/0:0:2:0/block/sdx"),
	  { "pci-0000:02:00.0-sas-0x5000c5001-lun-0" },
	  NULL,
	  false },
	{ "SAS behind an expander",
	  SAS_EXP "/target0:0:1/0:0:1:0/block/sdx",
	  HBAS SCSI(HBA "/host0", "scsi_host") NONE(HBA "/host0/port-0:0") NONE(EXP) DEVICE(
		  EXP "/sas_device/expander-0:0",
		  "sas_device") ATTRIBUTE("sas_address", "0x500") END NONE(EXP "/port-0:0:1")
		  DEVICE(EXP "/port-0:0:1/sas_port/port-0:0:1",
			 "sas_port") ATTRIBUTE("num_phys", "1") END SAS_DISK(SAS_EXP, "0:0:1")
			  DEVICE(SAS_EXP "/sas_device/end_device-0:0:1", "sas_device")
				  ATTRIBUTE("phy_identifier", "9")
					  END DISK(SAS_EXP "/target0:0:1/0:0:1:0/block/sdx"),
	  { "pci-0000:02:00.0-sas-exp0x500-phy9-lun-0" },
	  NULL,
	  false },
	{ "a RAID controller's second host",
	  RAID "/target4:2:1/4:2:1:7/block/sdb",
	  HBAS SCSI(HBA "/host2", "scsi_host") SCSI(RAID, "scsi_host")
		  SCSI(RAID "/target4:2:1", "scsi_target")
			  SCSI(RAID "/target4:2:1/4:2:1:7", "scsi_device")
				  DISK(RAID "/target4:2:1/4:2:1:7/block/sdb"),
	  { "pci-0000:02:00.0-scsi-2:2:1:7" },
	  NULL,
	  false },
	{ "Fibre Channel",
	  FC "/target7:0:1/7:0:1:3/block/sdx",
	  HBAS SCSI(HBA "/host7", "scsi_host") NONE(FC) SCSI(FC "/target7:0:1", "scsi_target")
		  DEVICE(FC "/target7:0:1/fc_transport/target7:0:1", "fc_transport")
			  ATTRIBUTE("port_name", "0x500601")
				  END SCSI(FC "/target7:0:1/7:0:1:3", "scsi_device")
					  DISK(FC "/target7:0:1/7:0:1:3/block/sdx"),
	  { "pci-0000:02:00.0-fc-0x500601-lun-3" },
	  NULL,
	  false },
	{ "Fibre Channel, a large LUN",
	  FC "/target7:0:1/7:0:1:16640/block/sdx",
	  HBAS SCSI(HBA "/host7", "scsi_host") NONE(FC) SCSI(FC "/target7:0:1", "scsi_target")
		  DEVICE(FC "/target7:0:1/fc_transport/target7:0:1", "fc_transport")
			  ATTRIBUTE("port_name", "0x500601")
				  END SCSI(FC "/target7:0:1/7:0:1:16640", "scsi_device")
					  DISK(FC "/target7:0:1/7:0:1:16640/block/sdx"),
	  { "pci-0000:02:00.0-fc-0x500601-lun-0x4100000000000000" },
	  NULL,
	  false },
	{ "iSCSI",
	  ISCSI "/target6:0:0/6:0:0:1/block/sdx",
	  SCSI("platform/host6", "scsi_host") NONE(ISCSI) DEVICE(ISCSI "/iscsi_session/session1",
								 "iscsi_session")
		  ATTRIBUTE("targetname", "iqn.2003-01.org:t") END NONE(ISCSI "/connection1:0")
			  DEVICE(ISCSI "/connection1:0/iscsi_connection/connection1:0",
				 "iscsi_connection") ATTRIBUTE("persistent_address", "192.0.2.9")
				  ATTRIBUTE("persistent_port", "3260")
					  END SCSI(ISCSI "/target6:0:0", "scsi_target")
						  SCSI(ISCSI "/target6:0:0/6:0:0:1", "scsi_device")
							  DISK(ISCSI "/target6:0:0/6:0:0:1/block/"
								     "sdx"),
	  { "ip-192.0.2.9:3260-iscsi-iqn.2003-01.org:t-lun-1" },
	  NULL,
	  false },
	{ "USB",
	  STICK "/host9/target9:0:0/9:0:0:0/block/sdx",
	  PCI(P0 "/0000:00:14.0") DEVICE(USB, "usb") "E: DEVTYPE=usb_device\n" ATTRIBUTE(
		  "bDeviceProtocol", "03") END DEVICE(USB "/2-1",
						      "usb") "E: DEVTYPE=usb_device\n" END
		  DEVICE(USB "/2-1/2-1.4", "usb") "E: DEVTYPE=usb_device\n" END DEVICE(
			  STICK, "usb") "E: DEVTYPE=usb_interface\n" END SCSI(STICK "/host9",
									      "scsi_host")
			  SCSI(STICK "/host9/target9:0:0", "scsi_target")
				  SCSI(STICK "/host9/target9:0:0/9:0:0:0", "scsi_device")
					  DISK(STICK "/host9/target9:0:0/9:0:0:0/block/sdx"),
	  { "pci-0000:00:14.0-usb-0:1.4:1.0-scsi-0:0:0:0",
	    "pci-0000:00:14.0-usbv3-0:1.4:1.0-scsi-0:0:0:0" },
	  NULL,
	  false },
	{ "virtio-blk",
	  P0 "/0000:00:04.0/virtio1/block/vda",
	  PCI(P0 "/0000:00:04.0") PLAIN(P0 "/0000:00:04.0/virtio1", "virtio")
		  DISK(P0 "/0000:00:04.0/virtio1/block/vda"),
	  { "pci-0000:00:04.0", "virtio-pci-0000:00:04.0" },
	  NULL,
	  false },
	{ "virtio-scsi",
	  P0 "/0000:00:05.0/virtio2/host7/target7:0:3/7:0:3:2/block/sdb",
	  PCI(P0 "/0000:00:05.0") PLAIN(P0 "/0000:00:05.0/virtio2", "virtio")
		  SCSI(P0 "/0000:00:05.0/virtio2/host7", "scsi_host") SCSI(
			  P0 "/0000:00:05.0/virtio2/host7/target7:0:3", "scsi_target")
			  SCSI(P0 "/0000:00:05.0/virtio2/host7/target7:0:3/7:0:3:2", "scsi_device")
				  DISK(P0 "/0000:00:05.0/virtio2/host7/target7:0:3/7:0:3:2/block/"
					  "sdb"),
	  { "pci-0000:00:05.0-scsi-0:0:3:2" },
	  NULL,
	  false },
	{ "virtio-mmio",
	  "platform/a003e00.virtio_mmio/virtio0/block/vda",
	  PLAIN("platform/a003e00.virtio_mmio", "platform")
		  PLAIN("platform/a003e00.virtio_mmio/virtio0", "virtio")
			  DISK("platform/a003e00.virtio_mmio/virtio0/block/vda"),
	  { "platform-a003e00.virtio_mmio" },
	  NULL,
	  false },
	{ "DASD",
	  "css0/0.0.0003/0.0.0150/block/dasda",
	  PLAIN("css0/0.0.0003", "css") PLAIN("css0/0.0.0003/0.0.0150", "ccw")
		  DISK("css0/0.0.0003/0.0.0150/block/dasda"),
	  { "ccw-0.0.0150" },
	  NULL,
	  false },
	{ "zFCP",
	  CSS "/host0/rport-0:0-1/target0:0:1/0:0:1:5/block/sda",
	  PLAIN("css0/0.0.0002", "css") PLAIN(CSS, "ccw") SCSI(CSS "/host0", "scsi_host") NONE(
		  CSS
		  "/host0/rport-0:0-1") SCSI(CSS "/host0/rport-0:0-1/target0:0:1", "scsi_target")
		  DEVICE(CSS "/host0/rport-0:0-1/target0:0:1/fc_transport/target0:0:1",
			 "fc_transport") ATTRIBUTE("port_name", "0x5005")
			  END SCSI(CSS "/host0/rport-0:0-1/target0:0:1/0:0:1:5", "scsi_device")
				  DISK(CSS "/host0/rport-0:0-1/target0:0:1/0:0:1:5/"
					   "block/sda"),
	  { "ccw-0.0.1900-fc-0x5005-lun-5" },
	  NULL,
	  false },
	{ "Hyper-V",
	  HV "/" GUID "/host0/target0:0:0/0:0:0:1/block/sdb",
	  PLAIN(HV, "acpi") DEVICE(HV "/" GUID, "vmbus") ATTRIBUTE("device_id", "{" GUID "}")
		  END SCSI(HV "/" GUID "/host0", "scsi_host")
			  SCSI(HV "/" GUID "/host0/target0:0:0", "scsi_target")
				  SCSI(HV "/" GUID "/host0/target0:0:0/0:0:0:1", "scsi_device")
					  DISK(HV "/" GUID "/host0/target0:0:0/0:0:0:1/block/sdb"),
	  { "acpi-VMBUS:00-vmbus-f8b3781a1e824818a1c363d806ec15bb-lun-1" },
	  NULL,
	  false },
	{ "MMC of a platform",
	  "platform/80860F14:00/mmc_host/mmc0/mmc0:0001/block/mmcblk0",
	  PLAIN("platform/80860F14:00", "platform") PLAIN("platform/80860F14:00/mmc_host/mmc0",
							  "mmc_host")
		  PLAIN("platform/80860F14:00/mmc_host/mmc0/mmc0:0001", "mmc")
			  DISK("platform/80860F14:00/mmc_host/mmc0/mmc0:0001/block/mmcblk0"),
	  { "platform-80860F14:00" },
	  NULL,
	  false },
	{ "MMC of a platform, a boot part",
	  "platform/80860F14:00/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0boot1",
	  PLAIN("platform/80860F14:00", "platform")
		  PLAIN("platform/80860F14:00/mmc_host/mmc0", "mmc_host")
			  PLAIN("platform/80860F14:00/mmc_host/mmc0/mmc0:0001", "mmc")
				  DISK("platform/80860F14:00/mmc_host/mmc0/mmc0:0001/block/mmcblk0/"
				       "mmcblk0boot1"),
	  { "platform-80860F14:00-boot1" },
	  "the suffix is its rules' part",
	  false },
	{ "MMC of PCI",
	  P0 "/0000:00:1a.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0",
	  PCI(P0 "/0000:00:1a.0") PLAIN(P0 "/0000:00:1a.0/mmc_host/mmc0", "mmc_host")
		  PLAIN(P0 "/0000:00:1a.0/mmc_host/mmc0/mmc0:0001", "mmc")
			  DISK(P0 "/0000:00:1a.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0"),
	  { NULL },
	  NULL,
	  false },
	{ "persistent memory",
	  "LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/namespace0.0/block/pmem0",
	  PLAIN("LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00", "acpi")
		  PLAIN("LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0", "nd")
			  DISK("LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/namespace0.0/"
			       "block/pmem0"),
	  { NULL },
	  NULL,
	  false },
	{ "Xen",
	  "vbd-51712/block/xvda",
	  PLAIN("vbd-51712", "xen") DISK("vbd-51712/block/xvda"),
	  { NULL },
	  NULL,
	  false },
	{ "FireWire",
	  HBA "/fw1/fw1.0/host6/target6:0:0/6:0:0:0/block/sdx",
	  HBAS PLAIN(HBA "/fw1", "firewire") PLAIN(HBA "/fw1/fw1.0", "firewire") SCSI(
		  HBA "/fw1/fw1.0/host6", "scsi_host") SCSI(HBA "/fw1/fw1.0/host6/target6:0:0",
							    "scsi_target")
		  DEVICE(HBA "/fw1/fw1.0/host6/target6:0:0/6:0:0:0",
			 "scsi") "E: DEVTYPE=scsi_device\n" ATTRIBUTE("ieee1394_id", "00d04b:1:0")
			  END DISK(HBA "/fw1/fw1.0/host6/target6:0:0/6:0:0:0/block/sdx"),
	  { "pci-0000:02:00.0-ieee1394-0x00d04b:1:0" },
	  NULL,
	  false },
	{ "an old Smart Array",
	  HBA "/cciss0/c0d1/block/cciss!c0d1",
	  HBAS PLAIN(HBA "/cciss0", "cciss") PLAIN(HBA "/cciss0/c0d1", "cciss")
		  DISK(HBA "/cciss0/c0d1/block/cciss!c0d1"),
	  { "pci-0000:02:00.0-cciss-disk1" },
	  NULL,
	  true },
	{ "software RAID", "virtual/block/md0", DISK("virtual/block/md0"), { NULL }, NULL, false },
};

/* --- building -------------------------------------------------------------------------------- */

static char root[] = "/tmp/ingot-bypath-XXXXXX";

static void remove_tree(void)
{
	char command[64];
	snprintf(command, sizeof(command), "rm -rf %s/sys", root);
	assert_int_equal(system(command), 0);
}

/* Makes the directories on the way. */
static char *full_path(const char *path)
{
	char *full = xasprintf("%s/sys%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	return full;
}

static void put(const char *path, const char *text)
{
	_cleanup_(freep) char *full = full_path(path);
	FILE *f = fopen(full, "we");
	assert_non_null(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

static void link_to(const char *target, const char *path)
{
	_cleanup_(freep) char *full = full_path(path);
	if (symlink(target, full) < 0)
		fail_msg("symlink %s", full);
}

static void put_line(const char *device, char *line, bool bare)
{
	char *value = strchr(line, '=');
	_cleanup_(freep) char *path = NULL, *target = NULL;
	if (value && str_has_prefix(line, "E: SUBSYSTEM=")) {
		const char *name = strrchr(device, '/') + 1;
		_cleanup_(freep) char *class = xasprintf("/class/%s/%s", value + 1, name);
		_cleanup_(freep) char *to_device = xasprintf("../..%s", device);
		/* Classes are there in bare trees, too: nothing else names their devices. */
		if (!streq(value + 1, "none") && !streq(value + 1, "block"))
			link_to(to_device, class);
		path = xasprintf("%s/subsystem", device);
		target = xasprintf("../../class/%s", value + 1);
		if (!bare)
			link_to(target, path);
	} else if (value && str_has_prefix(line, "A: ")) {
		*value = '\0';
		path = xasprintf("%s/%s", device, line + 3);
		put(path, value + 1);
	}
}

static void build(const char *tree, bool bare)
{
	_cleanup_(freep) char *copy = xstrdup(tree);
	char *save = NULL;
	const char *device = NULL;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (str_has_prefix(line, "P: ")) {
			device = line + 3;
			_cleanup_(freep) char *path = xasprintf("%s/%s", device,
								bare ? "dev" : "uevent");
			put(path, "");
		} else if (device) {
			put_line(device, line, bare);
		}
	}
}

/* --- tests ----------------------------------------------------------------------------------- */

static void check(const struct row *r, bool bare)
{
	build(r->tree, bare);
	struct hw_path_names n = hw_path_names(root, r->disk);
	for (size_t i = 0; i < HW_PATH_NAMES_MAX; i++) {
		_cleanup_(freep) char *wanted = r->names[i] ? xasprintf(DIRECTORY "%s", r->names[i])
							    : NULL;
		if (!streq(n.items[i], wanted))
			fail_msg("%s%s: name %zu is %s, not %s", r->what, bare ? " (bare)" : "", i,
				 str_or(n.items[i], "absent"), str_or(wanted, "absent"));
	}
	hw_path_names_done(&n);
	remove_tree();
}

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		check(&rows[i], false);
		if (!rows[i].needs_links)
			check(&rows[i], true);
	}
}

/* The value of a property in udevadm's answer, new; NULL. */
static char *property(const char *answer, const char *key)
{
	_cleanup_(freep) char *head = xasprintf("\n%s=", key);
	const char *at = strstr(answer, head);
	return at ? xstrndup(at + strlen(head), strcspn(at + strlen(head), "\n")) : NULL;
}

static char *ask_udev(const struct row *r)
{
	char answer[4096] = "\n";
	_cleanup_(freep) char *file = xasprintf("%s/tree.umockdev", root);
	_cleanup_(freep) char *command = xasprintf(
		"umockdev-run -d %s -- udevadm test-builtin path_id '/sys/devices/%s' 2>/dev/null",
		file, r->disk);
	FILE *f = fopen(file, "we");
	assert_non_null(f);
	fputs(r->tree, f);
	fclose(f);
	FILE *p = popen(command, "re");
	assert_non_null(p);
	size_t n = fread(answer + 1, 1, sizeof(answer) - 2, p);
	answer[n + 1] = '\0';
	pclose(p);
	unlink(file);
	return xstrdup(answer);
}

static void compare(const struct row *r, const char *theirs, const char *ours)
{
	if (!streq(theirs, ours))
		fail_msg("%s: udev says %s, the table %s", r->what, str_or(theirs, "nothing"),
			 str_or(ours, "nothing"));
}

static void test_table_is_udevs(void **state)
{
	(void)state;
	if (system("command -v umockdev-run udevadm >/dev/null") != 0) {
		print_message("skipped: umockdev or udev is not installed\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		if (r->oracle_differs)
			continue;
		_cleanup_(freep) char *answer = ask_udev(r);
		_cleanup_(freep) char *path = property(answer, "ID_PATH");
		_cleanup_(freep) char *compat = property(answer, "ID_PATH_ATA_COMPAT");
		compare(r, path, r->names[0]);
		if (compat)
			compare(r, compat, r->names[1]);
	}
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	remove_tree();
	return rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_table_is_udevs),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
