/* Where a standalone Ingot of this machine keeps its kubeconfig (see local.h). The file of options
 * is systemd's EnvironmentFile: lines of NAME=VALUE, values perhaps in quotes; the last line
 * counts. */

#include "hostview/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static const char blanks[] = " \t\r\n\"'";

/* The value of the last --data-dir in a line of options, in either form; NULL: none. */
static char *data_dir_of(char *options)
{
	static const char flag[] = "--data-dir";
	char *found = NULL, *rest = NULL;
	for (char *word = strtok_r(options, blanks, &rest); word;
	     word = strtok_r(NULL, blanks, &rest)) {
		const char *value = NULL;
		if (streq(word, flag))
			value = strtok_r(NULL, blanks, &rest);
		else if (str_has_prefix(word, flag) && word[strlen(flag)] == '=')
			value = word + strlen(flag) + 1;
		if (!str_empty(value))
			str_replace(&found, value);
	}
	return found;
}

static char *configured_dir(const char *root)
{
	static const char name[] = "INGOT_OPTIONS=";
	_cleanup_(freep) char *path = xasprintf("%s/etc/default/ingot", root);
	FILE *f = fopen(path, "re");
	char line[4096], *dir = NULL;
	while (f && fgets(line, sizeof(line), f)) {
		char *start = line + strspn(line, " \t");
		if (!str_has_prefix(start, name))
			continue;
		free(dir);
		dir = data_dir_of(start + strlen(name));
	}
	if (f)
		fclose(f);
	return dir;
}

char *local_kubeconfig(const char *root)
{
	struct stat st;
	_cleanup_(freep) char *configured = configured_dir(root);
	_cleanup_(freep) char *dir = xasprintf("%s%s", root, str_or(configured, "/var/lib/ingot"));
	/* The directory is closed to others, who are then told what they may not read. */
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return NULL;
	return xasprintf("%s/kubeconfig", dir);
}

bool local_has_other(void)
{
	_cleanup_(freep) char *home = xasprintf("%s/.kube/config", str_or(getenv("HOME"), ""));
	return !str_empty(getenv("KUBECONFIG")) || !str_empty(getenv("KUBERNETES_SERVICE_HOST")) ||
	       access(home, F_OK) == 0;
}
