#pragma once
/* What must survive a restart, of one host: HostRecord.spec without Kubernetes around it. Strings
 * are heap copies. */

#include "base/clock.h"
#include "engine/plan.h"
#include "json/bind.h"

/* Records of this version and of all before it are read. A record is stored with the lowest one
 * that tells all of it, so that an earlier release goes on with what it can read. 2: boot.number is
 * set, and the token of that boot is made in a way that version 1 does not know. 3: an operation is
 * under way, and what it does next stands in `plan`. */
enum { RECORD_SCHEMA_VERSION = 3, RECORD_WITH_PLAN = 3 };

struct node_record {
	char *host_uid;
	int64_t schema_version; /* as it was read */
	int64_t serial;		/* one more with each save, so that an older copy shows */
	int64_t last_boot;	/* the highest number of a boot of this host; it only rises */
	struct {
		char *id;     /* NULL: never held */
		char *reason; /* for people */
		usec_t since;
		bool released; /* by a person: this hold does not count any more */
	} hold;
	struct {
		char *state; /* names of the state table */
		char *last_error;
		usec_t since;
		usec_t cleaned_at; /* 0: a tenant has been here since, or never cleaned */
		int64_t deploy_attempts;
	} node;
	struct {
		char *nonce; /* 128 bits in hex: names one boot of the ramdisk; NULL: none is meant
				to run */
		int64_t number; /* 0: begun by a release that did not number boots */
		char *purpose;
		usec_t started_at;
		bool token_issued;
		char *source_address;
		char *host_uid; /* that it knows the host by; NULL: host_uid above */
		char *method;	/* how it comes to the machine (bmc_boot_method_name); NULL: by
				   network */
	} boot;
	/* The boot medium that was made for one boot, and may stand in a slot of the BMC. The names
	 * of its bytes are written before a BMC hears of it, so that every process makes the same
	 * ones, or knows that it cannot. No secret: its URL follows from the key. */
	struct {
		char *nonce;	/* of the boot that it is for; NULL: there is none */
		int64_t number; /* likewise */
		char *method;
		char *origin; /* of its URL: "http://192.0.2.1:6180" */
		char *reader; /* the BMC's address, the only one that may read it; NULL: the host's
			       */
		char *api_urls; /* that it names, with commas between */
		char *digest;	/* of all that it is made of */
		usec_t made_at;
	} media;
	bool secure_boot; /* Secure Boot was switched on by us */
	struct {
		char *url;
		char *certificate;
		char *version;
		usec_t seen_at; /* last heartbeat */
	} agent;
	struct {
		char *operation;
		char *name;
		usec_t started_at;
		int64_t attempt;
		usec_t deadline; /* given up then; 0: it does not run */
		char *waits_for; /* for people */
		char *trouble;	 /* of the agent in this step, passing; likewise */
	} step;
	struct plan plan; /* of the operation under way; its place is that of `step` */
	struct {
		char *url; /* without userinfo and query, as the checksum if that is a URL */
		char *checksum;
		char *checksum_type;
		char *format;
		char *identity; /* NULL: url and checksum are whole; see image.c */
		usec_t written_at;
	} image;
	struct {
		int64_t bytes_done, bytes_total, bytes_per_second, seconds_left, percent;
	} progress; /* of the write under way; stored now and then */
	struct {
		char *mac;
		/* The first of `addresses` (IPv4 before IPv6), for releases that know no list; it
		 * decides. */
		char *address;
		struct bind_list addresses; /* of char * */
	} dhcp;
	struct {
		char *bmc_address, *boot_mac;
		char *bmc_certificate; /* SHA-256 of the one that was pinned; NULL: none was */
		bool never_booted;     /* by boot_mac; it may still be corrected */
	} registered;		       /* with what; NULL: not yet, or detached since */
};

extern const struct bind_struct record_struct;

/* ERR_UNSUPPORTED for a record of a newer schema: it is never rewritten. */
int record_load(const struct json *j, struct node_record *ret, struct err *err);
/* Of a host's addresses, one of each family (AF_INET, AF_INET6) at most. "" or NULL: none. */
void record_set_address(struct node_record *r, int family, const char *address);
const char *record_get_address(const struct node_record *r, int family); /* NULL: none */
/* Is it one of them? */
bool record_has_address(const struct node_record *r, const char *address);
/* With the schema version that it needs. */
struct json *record_save(const struct node_record *r);
void record_release(struct node_record *r);
