#pragma once
/* The parts of a runtime, each with its own state. A part writes its own struct only, and may read
 * those of the parts that it names in its needs. */

#include "base/service.h"
#include "bmc/bmc.h"
#include "boot/boot.h"
#include "crypt/crypt.h"
#include "ctrl/host/controller.h"
#include "engine/boot_ops.h"
#include "engine/media_ops.h"
#include "health/validity.h"
#include "kube/lease.h"
#include "runtime.h"
#include "site/installation.h"

/* part_api.c: clients of the API server, and Events. */
struct api_part {
	struct kube_client *client, *event_client;
	struct kube_recorder *recorder;
	service_done_fn flushed;
	void *flushed_data;
};

/* part_election.c: the Lease. All empty without --leader-elect. */
struct election_part {
	struct kube_lease_options options;
	struct kube_client *client;
	struct kube_lease *lease; /* NULL: the installation is not known yet */
	char *identity;
	char *leader; /* another instance's identity; NULL: not known */
};

/* part_site.c: what belongs to the installation. */
struct site_part {
	struct site_installation installation;
	struct site_installation_search *search;
	bool found;
	struct timer validity;
	struct validity ca_seen;
};

/* part_hosts.c: controller, engine, BMCs, the link to agents. */
struct hosts_part {
	struct net_targets targets;
	struct bmc_driver *ipmi, *redfish, *idrac;
	struct bmc_driver_set drivers;
	struct http_client *http;
	struct agent_link *link;
	struct host_controller *controller;
	struct provisioner *prov; /* NULL until this process leads, as its engine is */
	struct engine *engine;
	struct debug_routes *debug;
	struct web_server *debug_server;
	char hold_id[16];
	struct timer drain_limit;
	service_done_fn drained;
	void *drained_data;
	struct timer logout_limit;
	service_done_fn logged_out;
	void *logged_out_data;
};

enum { BOOT_SIDES = 2 };

/* Our address of one family on the provisioning network, and what listens there. */
struct boot_side {
	struct net_addr at; /* not set: none */
	char address[NET_IP_TEXT_MAX];
	char *http_url;
	int http_fd, agent_fd; /* bound, and silent until we lead; 0: none */
	struct web_server *agent_server, *boot_server;
};

/* part_boot.c: what machines that boot, and their agents, talk to. */
struct boot_part {
	struct boot_config config;
	struct boot_ramdisk ramdisks[2];
	char *kernel, *initramfs, *agent_url;
	struct boot_side sides[BOOT_SIDES]; /* of IPv4, IPv6 */
	struct engine_boot_env env;
	struct dhcp_server *dhcp;
	struct tftp_server *tftp;
	struct http_boot *http;
	struct engine_media_env *media; /* NULL: the ramdisk came without boot loaders */
	struct media_http *media_http;
	struct agent_routes *routes;
	struct web *bulk; /* downloads have a thread to themselves */
	struct crypt_pair cert;
	struct timer validity;
	struct validity cert_seen;
	struct site_instances *instances;
	struct kube_client *instances_client;
	char *instances_name;
};

struct runtime {
	struct loop *loop; /* NULL while only options are checked */
	const struct runtime_options *options;
	struct kube_transport *transport;
	struct services *services;
	struct web *web; /* of small requests */
	struct webhooks *webhooks;
	struct api_part api;
	struct election_part election;
	struct site_part site;
	struct hosts_part hosts;
	struct boot_part boot;
	void (*failed)(void *data, const struct err *err);
	void *failed_data;
};

/* In which processes a part is. */
enum runtime_role {
	ROLE_BOOT = 1,	   /* --provisioning-interface */
	ROLE_ELECTION = 2, /* --leader-elect */
	ROLE_WEBHOOKS = 4, /* --webhook-port */
	ROLE_DEBUG = 8,	   /* --debug-socket */
};

extern const struct service api_service, events_service, election_service, site_service,
	webhook_service, targets_service, bmc_service, link_service, controller_service,
	engine_service, debug_service, work_service, instances_service, boot_service, web_service;

/* The start cannot go on, or the Lease is lost: the process is to end. */
void runtime_give_up(struct runtime *rt, const struct err *err);
/* The installation is known: lead, or try for the Lease. */
void runtime_found_site(struct runtime *rt);
/* The Lease is ours, or there is none. */
void runtime_lead(struct runtime *rt);
/* The hosts' records are read. */
void runtime_serve(struct runtime *rt);
/* The fence, for all that leaves (loop/fence.h); data is the runtime. */
bool runtime_may_act(void *rt, const char *key);
/* As runtime_may_act; but the installation's Secret is read, or made, by standbys as well. */
bool runtime_may_write(void *rt, const char *key);
/* Whether there is anything that a drain could finish. */
bool runtime_leads(const struct runtime *rt);
/* For engine_options.address_check: whether DHCP can give this address; data is the runtime. */
int runtime_check_address(void *rt, const char *text, struct err *err);
