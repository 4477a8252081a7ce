/* Loads CustomResourceDefinitions: ours are part of the program (api/crds.h), more may stand in
 * directories. Files are YAML, of which JSON is a part; several documents in one are fine. */

#include "site/crds.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/crds.h"
#include "base/mem.h"
#include "base/str.h"
#include "site/files.h"
#include "yaml/yaml_json.h"

void site_crds_done(struct site_crd_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->json[i]);
	free(list->json);
	*list = (struct site_crd_list){ 0 };
}

static int add(void *data, const char *json, size_t len)
{
	struct site_crd_list *list = data;
	list->json = xreallocarray(list->json, list->count + 2, sizeof(*list->json));
	list->json[list->count++] = xstrndup(json, len);
	list->json[list->count] = NULL;
	return 0;
}

static int add_text(struct site_crd_list *list, const char *name, const char *text, struct err *err)
{
	int r = yaml_each(text, strlen(text), add, list, err);
	return r < 0 ? err_wrap(err, "%s", name) : 0;
}

static int is_definition(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       (str_has_suffix(entry->d_name, ".yaml") || str_has_suffix(entry->d_name, ".yml") ||
		str_has_suffix(entry->d_name, ".json"));
}

static int add_file(struct site_crd_list *list, const char *directory, const char *name,
		    struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", directory, name), *text = NULL;
	int r = site_files_read(path, &text, err);
	return r < 0 ? r : add_text(list, path, text, err);
}

static int add_directory(struct site_crd_list *list, const char *directory, struct err *err)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, is_definition, alphasort), r = 0;
	if (n < 0)
		return err_set_errno(err, errno, "cannot read the directory %s (--crds)",
				     directory);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = add_file(list, directory, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int site_crds_load(const struct option_list *directories, struct site_crd_list *ret,
		   struct err *err)
{
	struct site_crd_list list = { .json = xcalloc(1, sizeof(*list.json)) };
	int r = 0;
	for (const struct embedded_file *f = embedded_crds; f->name && r == 0; f++)
		r = add_text(&list, f->name, f->text, err);
	for (size_t i = 0; i < directories->count && r == 0; i++)
		r = add_directory(&list, directories->items[i], err);
	if (r < 0)
		site_crds_done(&list);
	else
		*ret = list;
	return r;
}
