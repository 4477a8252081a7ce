#pragma once
/* Read-only TFTP for loaders, scripts and ramdisks (content.h). Core thread. */

#include "boot/boot.h"

enum { TFTP_TRANSFERS_MAX = 256, TFTP_PER_CLIENT_MAX = 4, TFTP_WINDOW_MAX = 32 };

struct tftp_server;

/* Binds port 69 of our addresses and stays silent until activated. With boot_config.tftp off
 * nothing is bound. */
int tftp_server_open(const struct boot_env *env, struct tftp_server **ret, struct err *err);
struct tftp_server *tftp_server_close(struct tftp_server *s); /* cuts transfers */
void tftp_server_set_active(struct tftp_server *s, bool active);
