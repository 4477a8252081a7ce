#pragma once
/* What the files of the rules share. Not for other modules.
 *
 * rules.c        the table of kinds, what is asked of an update
 * host.c         BareMetalHost: spec and updates
 * annotations.c  BareMetalHost and HostClaim: annotations
 * wanted.c       BareMetalHost: what cannot be done yet
 * others.c       the other kinds
 * url.c          URLs of images and the like */

#include "admission/rules.h"

void rule_warn(struct rule_findings *f, const char *fmt, ...) _printf_(2, 3);
/* Now is not what was; an absent old is a difference. `path` as json_get_path. */
bool rule_changed(const struct rule_subject *s, const char *path);

/* url.c: what an agent or a BMC is told to fetch. Adds what is wrong with it. */
void rule_image_url(const char *field, const char *url, struct causes *ret);
/* Where a BMC is told to send events. */
void rule_destination(const char *field, const char *url, struct causes *ret);

/* others.c: a field that names a Secret; NULL: does not. */
void rule_not_own_secret(const char *field, const char *name, struct causes *ret);
/* others.c: spec.image, if there is one. */
void rule_image(const struct json *image, struct causes *ret);
void rule_event_subscription(const struct rule_subject *s, struct rule_findings *ret);
void rule_data_image(const struct rule_subject *s, struct rule_findings *ret);
void rule_firmware_components(const struct rule_subject *s, struct rule_findings *ret);
void rule_claim(const struct rule_subject *s, struct rule_findings *ret);
void rule_attachment(const struct rule_subject *s, struct rule_findings *ret);

/* wanted.c: parts of the spec that are new or changed. */
void rule_wanted(const struct rule_subject *s, struct causes *ret);

/* host.c */
void rule_host(const struct rule_subject *s, struct rule_findings *ret);
bool rule_inspection_disabled(const struct json *host);

/* annotations.c: those that are new or changed; all of them when the spec has changed. */
void rule_host_annotations(const struct rule_subject *s, struct causes *ret);
void rule_claim_annotations(const struct rule_subject *s, struct causes *ret);
