#pragma once
/* The engine's own structs, shared by its files: ipmi.c (the flow of operations and sessions),
 * socket.c (datagrams and who they are for), report.c (what people read). */

#include "bmc/driver.h"
#include "bmc/ipmi/commands.h"
#include "bmc/ipmi/ipmi.h"
#include "bmc/ipmi/session.h"

struct batch;
struct ipmi_resolve;

enum { IPMI_SLOTS_MAX = 4095 };

struct ipmi_driver {
	struct bmc_driver base;
	struct ipmi_options options;
	struct ipmi_codec *codec;
	int fds[2]; /* IPv4, IPv6; -1 until the first BMC of that family */
	struct loop_io *ios[2];
	struct batch *batch;
	struct ipmi_bmc **slots; /* by the low bits of a console session id; 0 stays empty */
	unsigned slot_count, next_slot;
	struct list waiting; /* BMCs that wait for a session of others to end */
	struct ipmi_stats stats;
};

/* What a BMC's timer is for. */
enum ipmi_wait {
	IPMI_WAIT_NONE,
	IPMI_WAIT_START,   /* until a session may begin */
	IPMI_WAIT_ANSWER,  /* to the last packet */
	IPMI_WAIT_COMMAND, /* until the step is to be sent (again) */
	IPMI_WAIT_KEEP,	   /* for more requests, with the session open */
};

struct ipmi_bmc {
	struct bmc base;
	struct net_addr peer; /* AF_UNSPEC: the name is to be resolved */
	usec_t peer_until;    /* how long a resolved name is believed */
	usec_t next_session_at;
	struct ipmi_session *session;
	struct ipmi_resolve *resolving;
	struct timer timer;
	struct list waiting;
	struct ipmi_facts facts;
	const struct ipmi_step *step; /* of the running request */
	enum ipmi_wait wait;
	enum ipmi_state stuck; /* where the last session of this request ended */
	uint16_t slot;	       /* 0: none */
	uint8_t privilege;
	uint8_t suites;	   /* bit per row of ipmi_suites() that may be used */
	uint8_t suite_row; /* that worked last, + 1 */
	uint8_t slow;	   /* doublings of the retransmission time that proved necessary */
	bool known;	   /* has spoken RMCP+ */
	/* The refusal that two sessions of one request confirmed. It is believed at once from then
	 * on, because accounts get locked; until a session stands or the credentials change. */
	enum ipmi_failure confirmed;
	/* about the running request */
	enum ipmi_failure doubted; /* the refusal that the next session must confirm */
	bool heard;		   /* the BMC said something that made sense */
	bool junk;		   /* or something that did not */
	bool sent_once;		   /* a command that must not be repeated is out */
	uint8_t restarts, busy;
};

static inline struct ipmi_driver *ipmi_driver_of(const struct ipmi_bmc *b)
{
	return container_of(b->base.driver, struct ipmi_driver, base);
}

/* socket.c */
int ipmi_socket_open(struct ipmi_driver *driver, const struct net_addr *peer, struct err *err);
void ipmi_sockets_close(struct ipmi_driver *driver);
/* 0, also when the packet may be lost; else what makes repeating useless. */
int ipmi_send(struct ipmi_bmc *b, const void *packet, size_t len, struct err *err);
/* False: all are taken. */
bool ipmi_slot_take(struct ipmi_bmc *b);
void ipmi_slot_release(struct ipmi_bmc *b);
/* An id that leads back to the slot and cannot be guessed. */
uint32_t ipmi_slot_id(struct ipmi_bmc *b);

/* ipmi.c, called by socket.c */
void ipmi_receive(struct ipmi_bmc *b, const void *packet, size_t len, const struct ipmi_header *h);

/* report.c: all return the errno of err's kind, negative. */
int ipmi_report_failure(const struct ipmi_bmc *b, const struct ipmi_session *s, struct err *err);
int ipmi_report_completion(const struct ipmi_bmc *b, uint8_t code, struct err *err);
/* Why a request took longer than its deadline. */
int ipmi_report_late(const struct ipmi_bmc *b, struct err *err);
