#pragma once
/* Names of a disk below /dev/disk/by-path, by the rules of systemd-udevd: its builtin path_id, and
 * 60-persistent-storage.rules for the links. any thread */

#include "base/macro.h"

enum { HW_PATH_NAMES_MAX = 4 };

/* With the directory in front. The first is ID_PATH, the others are links that udev makes besides.
 * NULL-ended; empty where udev makes none, which is so for every bus that gives its devices no
 * place of their own. */
struct hw_path_names {
	char *items[HW_PATH_NAMES_MAX + 1];
};

/* `devpath`: what /sys/block/NAME links to, below /sys/devices. */
struct hw_path_names hw_path_names(const char *root, const char *devpath);
void hw_path_names_done(struct hw_path_names *n);
