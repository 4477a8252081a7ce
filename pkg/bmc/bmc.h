#pragma once
/* Baseboard controllers behind one interface. The owner of a host opens a `struct bmc` and submits
 * requests; the driver (ipmi/, redfish/, fake/) does the talking.
 *
 * Requests to one BMC run one at a time, in order. Each completes exactly once (done, failed, timed
 * out or cancelled), never before bmc_submit() has returned, and not later than its timeout, which
 * counts from bmc_submit() and includes waiting in the queue. A power request is done when the BMC
 * has accepted it; whether the power has changed is for the caller to poll.
 *
 * Drivers are polite on their own: sessions to one BMC keep their distance, requests that stand in
 * the queue share a session, and after `breaker_failures` failed requests in a row the BMC is left
 * alone for a growing time, in which requests fail at once with the last error's kind and text. */

#include "bmc/address.h"
#include "loop/fence.h"
#include "loop/loop.h"
#include "json/json.h"

struct bmc;
struct bmc_driver;

/* --- what can be asked ----------------------------------------------------------------------- */

/* Behind each: the member of the request that it reads, and the one of the result that it fills. A
 * "job" is done when the BMC has begun with it; see BMC_OP_GET_JOB. */
enum bmc_op {
	BMC_OP_GET_POWER,	/* → power */
	BMC_OP_SET_POWER,	/* action */
	BMC_OP_GET_BOOT,	/* → boot */
	BMC_OP_SET_BOOT,	/* boot */
	BMC_OP_GET_INFO,	/* → info */
	BMC_OP_GET_BOOT_MODE,	/* → mode */
	BMC_OP_SET_BOOT_MODE,	/* mode; holds from the next reset on */
	BMC_OP_GET_SECURE_BOOT, /* → enabled */
	BMC_OP_SET_SECURE_BOOT, /* enable; holds from the next reset on */
	BMC_OP_GET_MEDIA,	/* → media */
	BMC_OP_INSERT_MEDIA,	/* media → media; what was inserted before is ejected */
	BMC_OP_EJECT_MEDIA,	/* media: its URL → media; success when there is none */
	BMC_OP_GET_SETTINGS,	/* → settings: the firmware's ("BIOS") */
	BMC_OP_SET_SETTINGS,	/* settings: those to change; a job */
	BMC_OP_UPDATE_FIRMWARE, /* firmware; a job */
	BMC_OP_GET_JOB,		/* job: its id → job */
	BMC_OP_SEND_NMI,
	BMC_OP_SET_LED,	    /* enable */
	BMC_OP_SET_CLOCK,   /* time */
	BMC_OP_RESET_BMC,   /* reset; the BMC may be silent for minutes afterwards */
	BMC_OP_GET_SENSORS, /* → sensors */
	BMC_OP_GET_LOG,	    /* → log: the system event log */
	BMC_OP_CLEAR_LOG,
	BMC_OP_GET_RAID,	       /* → raid */
	BMC_OP_CREATE_VOLUME,	       /* volume; a job */
	BMC_OP_DELETE_VOLUME,	       /* volume: controller and id count; a job */
	BMC_OP_INSPECT,		       /* → inventory; some hundred requests: give it minutes */
	BMC_OP_GET_HEALTH,	       /* → level: the whole machine's */
	BMC_OP_GET_FIRMWARE,	       /* → components */
	BMC_OP_RESET_SETTINGS,	       /* the firmware's settings to their defaults; a job */
	BMC_OP_RESET_SECURE_BOOT_KEYS, /* keys */
	BMC_OP_GET_SUBSCRIPTIONS,      /* → subscriptions: to the BMC's events, of all clients */
	BMC_OP_SUBSCRIBE,	       /* subscription → subscription, with its id */
	BMC_OP_UNSUBSCRIBE,	       /* subscription: the id counts */
	_BMC_OP_MAX,
};

enum bmc_power { BMC_POWER_UNKNOWN, BMC_POWER_OFF, BMC_POWER_ON };

enum bmc_action {
	BMC_ACTION_ON,
	BMC_ACTION_OFF,	 /* hard */
	BMC_ACTION_SOFT, /* asks the operating system to shut down */
	BMC_ACTION_CYCLE,
	BMC_ACTION_RESET,
};

enum bmc_device {
	BMC_DEVICE_NONE, /* no override: the firmware's own order */
	BMC_DEVICE_PXE,
	BMC_DEVICE_DISK,
	BMC_DEVICE_CDROM,
	BMC_DEVICE_BIOS, /* into the setup screen */
	BMC_DEVICE_UEFI_HTTP,
	_BMC_DEVICE_MAX,
};

struct bmc_boot {
	enum bmc_device device;
	bool persistent; /* else for the next boot only */
	bool uefi;	 /* boot mode of the host: IPMI tells the firmware which to use */
	/* With BMC_DEVICE_UEFI_HTTP: what the firmware is to fetch. NULL: what DHCP names. */
	char *http_uri;
};

struct bmc_info {
	char vendor[64];  /* "" when unknown */
	char product[64]; /* BMC model or product id */
	char version[32]; /* of the BMC's firmware */
	char guid[37];	  /* "" when unknown */
};

enum bmc_boot_mode { BMC_MODE_UNKNOWN, BMC_MODE_LEGACY, BMC_MODE_UEFI };

/* A virtual CD. Strings are NULL where they are not known or not needed. */
struct bmc_media {
	char *url;
	char *username, *password; /* of the server that has the image; zeroed when freed */
	/* What another client has inserted stays, and an insert fails with ERR_CONFLICT; with this
	 * it is ejected, and the result's URL says what it was. Ours are the images of the server
	 * that the request's URL names. An eject without a URL is for all. */
	bool replace;
};

struct bmc_setting {
	char *name, *value; /* as text, whatever the BMC's type is */
};

struct bmc_settings {
	struct bmc_setting *items;
	size_t count;
};

struct bmc_firmware {
	char *component; /* "bios", "bmc", "nic:<id>" */
	char *url;
};

/* Of what can be updated: the BMC's own words. */
struct bmc_component {
	char *id;
	char *name, *version; /* NULL: unknown */
	bool updateable;
};

struct bmc_components {
	struct bmc_component *items;
	size_t count;
};

/* What becomes of Secure Boot's keys, from the next reset on. */
enum bmc_keys { BMC_KEYS_DEFAULT, BMC_KEYS_DELETE_ALL, BMC_KEYS_DELETE_PK, _BMC_KEYS_MAX };

/* A wish of a client that the BMC posts events to a URL. */
struct bmc_subscription {
	char *id;	   /* the BMC's; NULL in a request that makes one */
	char *destination; /* URL */
	char *context;	   /* comes back with each event; NULL: "" */
	char *protocol;	   /* NULL: "Redfish" */
	char *types;	   /* EventTypes, one a line; NULL: "Alert" */
};

struct bmc_subscriptions {
	struct bmc_subscription *items;
	size_t count;
};

/* Warm: only its software starts anew, settings and open consoles may survive. */
enum bmc_reset { BMC_RESET_WARM, BMC_RESET_COLD, _BMC_RESET_MAX };

/* As the BMC judges. */
enum bmc_health_level { BMC_LEVEL_UNKNOWN, BMC_LEVEL_OK, BMC_LEVEL_WARNING, BMC_LEVEL_CRITICAL };

/* One that is absent or disabled is not listed. */
struct bmc_sensor {
	char *name;  /* the BMC's: "CPU1 Temp" */
	char *group; /* "Temperature", "Voltage", "Fan", "Current", "Power", … */
	char *unit;  /* "degrees C", "RPM"; NULL: the value is none, only the level counts */
	double value;
	enum bmc_health_level level;
};

struct bmc_sensors {
	struct bmc_sensor *items;
	size_t count;
};

struct bmc_log_entry {
	char *id;
	char *text;
	usec_t at; /* wall, by the BMC's clock; 0: unknown */
	enum bmc_health_level level;
};

/* The oldest first. */
struct bmc_log {
	struct bmc_log_entry *items;
	size_t count;
};

struct bmc_drive {
	char *controller, *id;
	char *model, *serial; /* NULL: unknown */
	uint64_t size_bytes;  /* 0: unknown */
	bool rotational;
	enum bmc_health_level level;
};

struct bmc_volume {
	char *controller, *id; /* id: the BMC's; of one to be made NULL */
	char *name;	       /* NULL: none, or the BMC chooses */
	char *raid_level;      /* Ironic's word: "0", "1", "5", "6", "1+0", "5+0", "6+0" */
	uint64_t size_bytes;   /* of one to be made 0: all that its drives have */
	char *drives;	       /* their ids, one a line; NULL: the BMC chooses */
};

struct bmc_drives {
	struct bmc_drive *items;
	size_t count;
};

struct bmc_volumes {
	struct bmc_volume *items;
	size_t count;
};

struct bmc_raid {
	struct bmc_drives drives;
	struct bmc_volumes volumes;
};

enum bmc_job_state { BMC_JOB_RUNNING, BMC_JOB_NEEDS_RESET, BMC_JOB_DONE, BMC_JOB_FAILED };

enum { BMC_JOB_ID_MAX = 512 }; /* it stands in the host's record */

/* Work of minutes or hours that goes on in the BMC. It never holds the queue: the request that
 * begins it is done as soon as there is an id, which is all that another process needs to ask on.
 */
struct bmc_job {
	char *id;   /* the BMC's; NULL: all was done at once */
	char *text; /* what the BMC says about it; NULL: nothing */
	enum bmc_job_state state;
	uint8_t percent;
};

/* The union's member is what the op's row in enum bmc_op names; the strings are the caller's, and
 * copied by bmc_submit(). */
struct bmc_request {
	enum bmc_op op;
	union {
		enum bmc_action action;
		struct bmc_boot boot;
		enum bmc_boot_mode mode;
		bool enable;
		usec_t time; /* wall */
		struct bmc_media media;
		struct bmc_settings settings;
		struct bmc_firmware firmware;
		struct bmc_job job; /* the id counts */
		enum bmc_reset reset;
		struct bmc_volume volume;
		enum bmc_keys keys;
		struct bmc_subscription subscription;
	};
	usec_t timeout; /* 0: the BMC's option */
	/* More requests are expected within this time: keep the session so long (at most 20 s)
	 * after this one. Without it the session ends when the queue is empty. */
	usec_t keep_session;
	/* Runs only if the request queued directly before it succeeds, else ends with
	 * ERR_CANCELLED: "boot device, then power on" in one session, without a gap. */
	bool after_success;
	/* A person asks, or something changed: try even while the BMC is left alone after failures.
	 */
	bool urgent;
};

struct bmc_result {
	enum bmc_op op;
	struct err err; /* kind ERR_NONE: done, and the op's member below is valid */
	union {
		enum bmc_power power;
		struct bmc_boot boot;
		struct bmc_info info;
		enum bmc_boot_mode mode;
		bool enabled;
		struct bmc_media media; /* url NULL: none; never with credentials */
		struct bmc_settings settings;
		struct bmc_job job; /* of each op that begins one, too */
		struct bmc_sensors sensors;
		struct bmc_log log;
		struct bmc_raid raid;
		/* In the form in which agents post it, without what the BMC does not tell; what
		 * hosts need of that is named in "missing", what could not be read in "skipped". */
		struct json *inventory;
		enum bmc_health_level level;
		struct bmc_components components;
		struct bmc_subscription subscription;
		struct bmc_subscriptions subscriptions;
	};
};

void bmc_request_dup(const struct bmc_request *from, struct bmc_request *ret);
void bmc_request_done(struct bmc_request *r);
void bmc_result_dup(const struct bmc_result *from, struct bmc_result *ret);
void bmc_result_done(struct bmc_result *r);
void bmc_settings_add(struct bmc_settings *s, const char *name, const char *value);
const char *bmc_settings_get(const struct bmc_settings *s, const char *name); /* or NULL */
/* All copy what they are given. */
void bmc_sensors_add(struct bmc_sensors *s, const struct bmc_sensor *sensor);
void bmc_log_add(struct bmc_log *l, const struct bmc_log_entry *entry);
void bmc_raid_add_drive(struct bmc_raid *r, const struct bmc_drive *drive);
void bmc_raid_add_volume(struct bmc_raid *r, const struct bmc_volume *volume);
void bmc_components_add(struct bmc_components *c, const struct bmc_component *component);
void bmc_subscriptions_add(struct bmc_subscriptions *s, const struct bmc_subscription *one);

/* result is valid during the call. New requests may be submitted and the BMC may be closed inside.
 */
typedef void (*bmc_done_fn)(void *data, const struct bmc_result *result);

/* --- a BMC ----------------------------------------------------------------------------------- */

struct bmc_credentials {
	char *username; /* "" or NULL: the anonymous user */
	char *password;
};

struct bmc_options {
	const char *key;   /* of the host, for the fence; copied; NULL: of none */
	usec_t timeout;	   /* of a request; 0: the driver's, mostly 30 s */
	bool insecure_tls; /* disableCertificateVerification */
	/* Trust of BMCs that speak TLS: without either it is the system's authorities. Copied. */
	const char *ca;		   /* PEM: these authorities instead, and no others */
	const char *pinned_sha256; /* of the BMC's own certificate, hexadecimal: exactly this one,
				      whatever its name, dates and authority; wins over all else */
	unsigned breaker_failures; /* failed requests in a row before the BMC is left alone; 0: 3 */
	usec_t breaker_first;	   /* for so long, doubling; 0: 15 s */
	usec_t breaker_max;	   /* 0: 10 min */
};

void bmc_credentials_copy(const struct bmc_credentials *from, struct bmc_credentials *ret);
void bmc_credentials_done(struct bmc_credentials *c); /* zeroes the memory */

/* Checks address and credentials by the driver's rules (ERR_INVALID); no traffic. Address and
 * credentials are copied. options NULL: defaults. */
int bmc_open(struct bmc_driver *driver, const struct bmc_address *address,
	     const struct bmc_credentials *credentials, const struct bmc_options *options,
	     struct bmc **ret, struct err *err);
/* What is queued or running completes with ERR_CANCELLED, from the loop. Returns NULL. */
struct bmc *bmc_close(struct bmc *bmc);
/* Used from the next session on; also ends the time in which the BMC is left alone. */
int bmc_set_credentials(struct bmc *bmc, const struct bmc_credentials *credentials,
			struct err *err);
const struct bmc_address *bmc_get_address(const struct bmc *bmc);

/* Returns a ticket, never 0. */
uint64_t bmc_submit(struct bmc *bmc, const struct bmc_request *request, bmc_done_fn done,
		    void *data);
/* Completes the request with ERR_CANCELLED, from the loop; harmless when it is already done. */
void bmc_cancel(struct bmc *bmc, uint64_t ticket);
unsigned bmc_queued(const struct bmc *bmc); /* waiting and running */

/* --- streams --------------------------------------------------------------------------------- */

/* The host's serial console. It shares the session with the requests, which go on meanwhile, and
 * keeps it open. One for each BMC. */
struct bmc_stream;

struct bmc_stream_handlers {
	/* Borrowed. The stream may be closed inside. */
	void (*bytes)(void *data, const void *bytes, size_t len);
	/* Once, unless the user closes it first: the BMC or the driver ended it, or bmc_close().
	 * The stream is gone then. */
	void (*ended)(void *data, const struct err *err);
};

/* NULL, and ERR_UNSUPPORTED, ERR_BUSY (there is one) or the driver's error. Nothing is called
 * before it has returned. */
struct bmc_stream *bmc_console_open(struct bmc *bmc, const struct bmc_stream_handlers *handlers,
				    void *data, struct err *err);
/* All of it, or an error; the fence is asked. */
int bmc_stream_write(struct bmc_stream *s, const void *bytes, size_t len, struct err *err);
/* No handler runs afterwards. Accepts NULL; returns NULL. */
struct bmc_stream *bmc_stream_close(struct bmc_stream *s);

/* --- events ---------------------------------------------------------------------------------- */

enum bmc_event_kind {
	BMC_EVENT_POWER, /* power */
	BMC_EVENT_JOB,	 /* job: one has changed its state */
	BMC_EVENT_ALERT, /* text only */
};

/* What a BMC reports by itself. A reason to ask, and no more: it may be late, doubled, or lost. */
struct bmc_event {
	enum bmc_event_kind kind;
	enum bmc_power power;
	const struct bmc_job *job;
	const char *text; /* for people; may be NULL */
};

typedef void (*bmc_event_fn)(void *data, const struct bmc_event *event);

/* From the loop. NULL: none are wanted (any more). */
void bmc_set_event_handler(struct bmc *bmc, bmc_event_fn fn, void *data);

struct bmc_health {
	unsigned failures;	/* in a row */
	usec_t breaker_until;	/* monotonic: no request before; 0: not left alone */
	const char *last_error; /* borrowed; NULL: none since it answered last */
};

struct bmc_health bmc_health(const struct bmc *bmc);

/* --- drivers --------------------------------------------------------------------------------- */

/* A running driver for each kind of address; NULL: not available. A simulation puts the fake driver
 * into all of them. */
struct bmc_driver_set {
	struct bmc_driver *drivers[_BMC_DRIVER_MAX];
};

/* Or NULL and ERR_UNSUPPORTED with a text for the user, also for a way to boot that no plan has
 * steps for yet. */
struct bmc_driver *bmc_driver_find(const struct bmc_driver_set *set,
				   const struct bmc_scheme *scheme, struct err *err);
/* All its BMCs must be closed. Accepts NULL; returns NULL. */
struct bmc_driver *bmc_driver_free(struct bmc_driver *driver);
/* Asked directly before anything but the end of a session is sent, with the BMC's key; false ends
 * the request with ERR_CANCELLED. */
void bmc_driver_set_fence(struct bmc_driver *driver, const struct fence *fence);
/* What the driver can do: nothing else says it. */
bool bmc_driver_supports(const struct bmc_driver *driver, enum bmc_op op);
bool bmc_driver_boots_from(const struct bmc_driver *driver, enum bmc_device device);
bool bmc_driver_has_console(const struct bmc_driver *driver);
/* How a host with such an address gets its ramdisk: as the address asks, if the driver can do that
 * in the host's boot mode; else ERR_UNSUPPORTED. To be asked once, when an operation is planned. */
int bmc_choose_boot(const struct bmc_driver *driver, const struct bmc_scheme *scheme,
		    enum bmc_boot_mode mode, enum bmc_boot_method *ret, struct err *err);
/* "network", "media", "uefi-http": as records have it. */
const char *bmc_boot_method_name(enum bmc_boot_method method);
int bmc_boot_method_parse(const char *name, enum bmc_boot_method *ret); /* -EINVAL */

const char *bmc_op_name(enum bmc_op op);
bool bmc_op_begins_job(enum bmc_op op);
const char *bmc_power_name(enum bmc_power power);
const char *bmc_action_name(enum bmc_action action);
const char *bmc_device_name(enum bmc_device device);
