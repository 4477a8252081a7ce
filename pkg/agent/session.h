#pragma once
/* The agent's side of the talk with the server: wait for the network, inspect, look up, serve, beat
 * as ironic-python-agent does. One per process. Core thread. */

#include "agent/api.h"
#include "agent/config.h"
#include "base/fsm.h"

struct ipa_session;

enum ipa_state {
	IPA_STATE_NETWORK,  /* waiting for an address */
	IPA_STATE_COLLECT,  /* the inventory, on a job's thread */
	IPA_STATE_INSPECT,  /* posting it */
	IPA_STATE_DISCOVER, /* GET / */
	IPA_STATE_LOOKUP,
	IPA_STATE_ADDRESS, /* which of our addresses the server sees */
	IPA_STATE_SERVE,   /* API open, beating */
	IPA_STATE_IDLE,	   /* nothing to do: no server was named, or it does not want us */
	_IPA_STATE_MAX,
};

struct ipa_session_options {
	struct loop *loop;
	struct web *web;
	const struct ipa_config *config;
	const struct ipa_effects *effects;
	const char *ca;	  /* PEM: instead of the system's roots; may be NULL */
	const char *root; /* "" on a machine */
	bool plain_http;  /* no certificate of our own: tests and labs */
	/* Lookup did not succeed in its time: the process is expected to end. May be NULL. */
	void (*failed)(void *data, const struct err *err);
	void *data;
};

struct ipa_session *ipa_session_new(const struct ipa_session_options *options, struct err *err);
/* Not while a command or the collection of the inventory runs. */
struct ipa_session *ipa_session_free(struct ipa_session *s);
enum ipa_state ipa_session_state(const struct ipa_session *s);
/* A heartbeat out of turn, but not sooner than 5 s after the one before. */
void ipa_session_beat(void *session);
/* The API, once the state is SERVE. */
struct ipa_api *ipa_session_api(struct ipa_session *s);

/* For the session, and its tests. */

extern const struct fsm ipa_session_fsm;

/* After which pause an inventory that was not taken is posted again; 0: it is given up. `status` 0:
 * there was no answer; `tries` before this one; `waited` since the first. */
usec_t ipa_inspection_pause(int status, unsigned tries, usec_t waited);
