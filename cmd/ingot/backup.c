/* The commands `ingot backup` and `ingot restore`; the work is in site/backup.h. */

#include <stddef.h>
#include <stdio.h>

#include "commands.h"
#include "site/backup.h"

/* Status 1 for all that went wrong: the options were right, and repeating may help. */
static int finish(const char *command, int r, const struct err *err)
{
	if (r == 0)
		return EXIT_OK;
	fprintf(stderr, "ingot %s: %s\n", command, err->text);
	return EXIT_FAILED;
}

static int run_backup(void *data)
{
	struct err err;
	return finish("backup", site_back_up(data, &err), &err);
}

static int run_restore(void *data)
{
	struct err err;
	return finish("restore", site_restore(data, &err), &err);
}

/* The two commands take the same words; only what these mean differs. */
#define ROWS(place_help, dir_help)                                                                 \
	{                                                                                          \
		{ .name = "BACKUP",                                                                \
		  .help = (place_help),                                                            \
		  .operand = true,                                                                 \
		  .type = &option_path,                                                            \
		  .offset = offsetof(struct site_backup_options, place),                           \
		  .required = true },                                                              \
			{ .name = "data-dir",                                                      \
			  .argument = "DIR",                                                       \
			  .help = (dir_help),                                                      \
			  .type = &option_path,                                                    \
			  .offset = offsetof(struct site_backup_options, data_dir),                \
			  .required = true },                                                      \
			{ .name = NULL },                                                          \
	}

static const struct option_row backup_rows[] = ROWS(
	"create this directory",
	"use the data directory of ingot standalone, which may be running");
static const struct option_row restore_rows[] = ROWS(
	"directory that ingot backup created",
	"use this data directory of ingot standalone, which must not be running");

static const struct option_table backup_tables[] = { { NULL, backup_rows, 0 }, { NULL, NULL, 0 } };
static const struct option_table restore_tables[] = { { NULL, restore_rows, 0 },
						      { NULL, NULL, 0 } };

const struct command backup_command = {
	.name = "backup",
	.summary = "back up the data directory of ingot standalone, also while it runs",
	.options = backup_tables,
	.options_size = sizeof(struct site_backup_options),
	.run = run_backup,
};

const struct command restore_command = {
	.name = "restore",
	.summary = "restore a data directory from a backup; all its hosts are then held",
	.options = restore_tables,
	.options_size = sizeof(struct site_backup_options),
	.run = run_restore,
};
