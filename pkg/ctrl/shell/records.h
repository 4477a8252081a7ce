#pragma once
/* Keeps the engine's records as HostRecord objects: one per host, of its name, owned by it. A save
 * is conditional on the version that was last read or written, so that two engines can never both
 * believe themselves in charge. Core thread. */

#include "kube/informer.h"
#include "loop/loop.h"
#include "prov/prov.h"

struct records;

struct records *records_new(struct kube_client *client, struct kube_informer *informer);
struct records *records_free(struct records *r); /* saves under way are dropped unanswered */
/* Calls fn once when no save is under way. */
void records_drain(struct records *r, loop_fn fn, void *data);
/* The record of a host, a new tree; NULL when there is none. */
struct json *records_get(const struct records *r, const char *key);
/* The whole HostRecord. */
struct json *records_object(const struct records *r, const char *key);
/* There is one, of a release that knew no finalizer: the next save puts it on. */
bool records_unguarded(const struct records *r, const char *key);
/* For struct prov_env. */
void records_save(void *records, const char *key, const char *uid, const struct json *record,
		  prov_saved_fn done, void *done_data);
