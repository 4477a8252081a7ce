#pragma once
/* What is said of a host between controllers and what handles its hardware: the host as it is
 * wanted, what is asked for, and how far that is. It names nothing of Kubernetes, and nothing of
 * how the work is done, so that both sides of the interface (prov/prov.h) can read it. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct json;

enum boot_mode { BOOT_UEFI, BOOT_UEFI_SECURE, BOOT_LEGACY };
enum prov_power { PROV_POWER_UNKNOWN, PROV_POWER_OFF, PROV_POWER_ON };
enum prov_cleaning { PROV_CLEAN_METADATA, PROV_CLEAN_DISABLED };

/* A host as its controller knows it. Everything is borrowed during a call; the engine copies what
 * it keeps. */
struct prov_host {
	const char *key; /* "namespace/name" */
	const char *uid; /* the object's UID */
	const char *bmc_address;
	bool bmc_insecure;   /* do not verify the BMC's certificate */
	const char *bmc_ca;  /* PEM: authorities that its certificate must come from; NULL: the
				system's */
	const char *bmc_pin; /* SHA-256 of its certificate, 64 lower-case hex digits: this one and
				no other; NULL: none is asked for */
	const char *username,
		*password;	  /* NULL when the credentials are not to be had (deletion) */
	const char *boot_mac;	  /* "" when not given */
	bool power_only;	  /* it is never booted by us: no boot_mac is needed */
	const char *dhcp_address; /* the one that boot_mac shall have; NULL: any */
	bool rests_off;		  /* it is to be off, and was seen off */
	enum boot_mode boot_mode;
	enum prov_cleaning cleaning;
	const char *network_data; /* of the ramdisk, JSON; NULL: none */
	const char *
		network_data_error; /* it was asked for and cannot be had: why; NULL: all is well */
	const struct json *root_hints; /* in effect, with the members of Metal3's rootDeviceHints;
					  NULL: none, the agent chooses */
	const char *root_hints_why;    /* that they are in effect, for people; static */
	/* root_hints are a default that nothing asked for: the machine's only disk will do, too. */
	bool root_hints_default;
};

enum prov_outcome {
	PROV_DONE,    /* the goal is reached */
	PROV_RUNNING, /* under way; the engine kicks when it goes on */
	PROV_FAILED,  /* gave up: `error` is for people and the host's status */
};

/* What a person can mend by naming other things for the host. The words for it are the
 * controller's, who knows where people name them. */
enum prov_problem {
	PROV_OTHER,	     /* the text says it */
	PROV_BAD_BOOT_MAC,   /* what was given is none: the subject */
	PROV_NEEDS_BOOT_MAC, /* subject: the BMC's driver */
	PROV_OTHER_BMC,	     /* than the host was registered with; no subject */
	PROV_OTHER_BOOT_MAC, /* than the host has booted by: the subject */
	PROV_WRONG_STATE,    /* subject: what cannot start, and the state that is known */
	PROV_NO_CERTIFICATE, /* a certificate is pinned, and the BMC has none: the subject */
	PROV_NOT_STORED,     /* what is known of the host; nothing is done to it. Subject: why */
};

struct prov_result {
	enum prov_outcome outcome;
	bool started;	/* this call started or changed something */
	usec_t requeue; /* ask again at the latest after so long; 0: only when kicked */
	/* PROV_FAILED: what failed, where, and what to do; PROV_RUNNING: what holds it up, if
	 * that has lasted for a while. */
	char error[512];
	enum prov_problem problem; /* not PROV_OTHER: `error` is its subject */
	bool passing;		   /* PROV_FAILED: ends by itself, with a kick; to be told once */
};

struct prov_register {
	bool credentials_changed;
	bool retry; /* after a failure: try again */
	/* The host has been registered before, so BMC and boot MAC address cannot be others now:
	 * that would be another machine. They can after remove() with force, and a MAC address by
	 * which nothing has booted can in any case. */
	bool settled;
	bool leaving; /* it is being deleted: where it boots from is of no interest any more */
};

struct prov_inspect {
	bool retry;
	bool refresh;	   /* inspect again although data exist */
	bool force_reboot; /* abort a ramdisk that is waited for */
};

struct prov_prepare {
	bool retry;
};

struct prov_image {
	const char *url; /* "" = none */
	const char *checksum;
	const char *checksum_type;
	const char *format; /* "" = by content */
};

/* Contents of the config drive: NULL members are left out. JSON texts for metadata and network
 * data; user data are any bytes. */
struct prov_config_drive {
	const char *meta_data;
	const char *network_data;
	const void *user_data;
	size_t user_data_len;
};

struct prov_provision {
	struct prov_image image;
	struct prov_config_drive config_drive;
	bool retry;
	bool force_reboot;
};

struct prov_deprovision {
	bool retry;
};

struct prov_hold {
	const char *id;	    /* names the hold; a release must name it, too */
	const char *reason; /* for people */
	usec_t since;	    /* wall */
};

/* err NULL: stored. ERR_CONFLICT: another client wrote the record; the provisioner then drops what
 * it believed. */
typedef void (*prov_saved_fn)(void *data, const struct err *err);
