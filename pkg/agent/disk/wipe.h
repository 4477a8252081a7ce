#pragma once
/* Makes a disk forget what it held: partition tables, file systems, RAID, LVM and LUKS signatures,
 * on the disk and in each of its partitions. Data stay; see erase.h for those. Blocking; any
 * thread. */

#include "agent/disk/dev.h"

/* The first and the last mebibyte: sector 0, both GPTs, the usual places of RAID metadata. */
int disk_wipe_ends(const struct disk_dev *d, struct err *err);
/* Everything `wipefs --all` would find on the disk and its partitions. With `guard`, disks with
 * file systems that other machines may share (GPFS, VMFS, GFS2) are refused. */
int disk_wipe_metadata(const struct disk_dev *d, bool guard, struct err *err);
