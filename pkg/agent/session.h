#pragma once
/* The agent's side of the talk with the server: wait for the network, inspect, look up, serve, beat
 * as ironic-python-agent does. One per process. Core thread. */

#include "agent/api.h"
#include "agent/config.h"
#include "base/fsm.h"

struct agent_session;

enum agent_state {
	AGENT_STATE_NETWORK,  /* waiting for an address */
	AGENT_STATE_COLLECT,  /* the inventory, on a job's thread */
	AGENT_STATE_INSPECT,  /* posting it */
	AGENT_STATE_DISCOVER, /* GET / */
	AGENT_STATE_LOOKUP,
	AGENT_STATE_ADDRESS, /* which of our addresses the server sees */
	AGENT_STATE_SERVE,   /* API open, beating */
	AGENT_STATE_IDLE,    /* nothing to do: no server was named, or it does not want us */
	_AGENT_STATE_MAX,
};

struct agent_session_options {
	struct loop *loop;
	struct web *web;
	const struct agent_config *config;
	const struct agent_effects *effects;
	const char *ca;	  /* PEM: instead of the system's roots; may be NULL */
	const char *root; /* "" on a machine */
	bool plain_http;  /* no certificate of our own: tests and labs */
	/* Lookup did not succeed in its time: the process is expected to end. May be NULL. */
	void (*failed)(void *data, const struct err *err);
	void *data;
};

struct agent_session *agent_session_new(const struct agent_session_options *options,
					struct err *err);
/* Not while a command or the collection of the inventory runs. */
struct agent_session *agent_session_free(struct agent_session *s);
enum agent_state agent_session_state(const struct agent_session *s);
/* A heartbeat out of turn, but not sooner than 5 s after the one before. */
void agent_session_beat(void *session);
/* The API, once the state is SERVE. */
struct agent_api *agent_session_api(struct agent_session *s);

/* For the session, and its tests. */

extern const struct fsm agent_session_fsm;

/* After which pause an inventory that was not taken is posted again; 0: it is given up. `status` 0:
 * there was no answer; `tries` before this one; `waited` since the first. */
usec_t agent_inspection_pause(int status, unsigned tries, usec_t waited);
