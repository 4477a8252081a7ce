#pragma once
/* Structured log: one line per record, `time level message key=value …`, or the same as a JSON
 * object for log collectors, to stderr or a sink. Secrets never come here; what a peer sent is
 * quoted. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/macro.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Receives each finished line, without its newline. */
typedef void (*log_sink_fn)(void *data, enum log_level level, const char *line);
/* Microseconds since the epoch; set by the loop so that simulated time shows in the log. */
typedef usec_t (*log_clock_fn)(void *data);

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
void log_set_sink(log_sink_fn sink, void *data); /* NULL: stderr */
void log_set_clock(log_clock_fn clock, void *data);
bool log_enabled(enum log_level level);

/* Pairs are (const char *key, const char *value), ended by NULL; a NULL value is left out. */
void log_write(enum log_level level, const char *message, ...) __attribute__((sentinel));

/* For what a peer can repeat as often as it likes: a line a second at most, with how many it stands
 * for as "times". Of one thread; zero to begin with. */
struct log_pace {
	usec_t next;
	uint64_t held_back;
};
/* True when the line is due; *ret_times: for how many. */
bool log_pace_due(struct log_pace *p, usec_t now, uint64_t *ret_times);
#define log_paced(pace, now, level, ...)                                                           \
	do {                                                                                       \
		uint64_t times_;                                                                   \
		char text_[24];                                                                    \
		if (log_pace_due(pace, now, &times_))                                              \
			log_write(level, __VA_ARGS__, "times", log_times(times_, text_), NULL);    \
	} while (0)
/* Paces by peer. A peer's lines hold back only each other and those of the few peers whose names
 * hash alike; the number of rows bounds what all peers together can write, whatever they call
 * themselves. A line's count is lost when LOG_PEER_LINES others of its row follow. */
enum { LOG_PEERS = 64, LOG_PEER_LINES = 8 };
struct log_paces {
	struct log_peer {
		struct {
			uint32_t text; /* hashed; 0: unused */
			struct log_pace pace;
		} lines[LOG_PEER_LINES];
		struct log_pace others; /* for which no place was left this second */
	} peers[LOG_PEERS];
};
/* The pace of one line: the same `what` and `detail` (NULL: none) from the same peer. */
struct log_pace *log_pace_of(struct log_paces *p, usec_t now, const char *peer, const char *what,
			     const char *detail);
/* NULL for one. */
const char *log_times(uint64_t times, char text[24]);

#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_DEBUG))                                                        \
			log_write(LOG_DEBUG, __VA_ARGS__, NULL);                                   \
	} while (0)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__, NULL)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__, NULL)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__, NULL)
