#pragma once
/* The one time type and its text forms. Reading the clock itself is the loop's business
 * (loop/loop.h), so that the simulation owns it. any thread */

#include <stddef.h>
#include <stdint.h>

/* Microseconds; since the epoch (wall clock) or since an arbitrary start (monotonic). */
typedef uint64_t usec_t;

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MIN  (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)
#define USEC_INFINITY UINT64_MAX

enum { CLOCK_TEXT_MAX = 48 };

/* RFC 3339, UTC, whole seconds ("2026-01-02T03:04:05Z"): metav1.Time. Returns buf. */
char *clock_format(usec_t wall, char buf[CLOCK_TEXT_MAX]);
/* With microseconds ("2026-01-02T03:04:05.000006Z"): metav1.MicroTime. Returns buf. */
char *clock_format_micro(usec_t wall, char buf[CLOCK_TEXT_MAX]);
/* RFC 3339 with any fraction and offset; -EINVAL. */
int clock_parse(const char *text, usec_t *ret);
/* As kubectl prints ages: "45s", "3m12s", "5h", "2d3h". Returns buf. */
char *clock_format_age(usec_t span, char buf[CLOCK_TEXT_MAX]);
