#pragma once
/* Small compiler helpers that every module uses. any thread */

#include <stddef.h>
#include <stdint.h>

/* Ownership made visible: the named function runs when the variable leaves its scope. */
#define _cleanup_(fn)	  __attribute__((cleanup(fn)))
#define _printf_(fmt, at) __attribute__((format(printf, fmt, at)))
#define _warn_unused_	  __attribute__((warn_unused_result))

/* Moves a pointer out of a variable that has a cleanup: the caller now owns the value. */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *_take = &(p);                                                       \
		__typeof__(p) _value = *_take;                                                     \
		*_take = NULL;                                                                     \
		_value;                                                                            \
	})

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* <sys/param.h>, which some libraries bring, has versions that evaluate twice. */
#undef MIN
#undef MAX
#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) _min_a = (a);                                                        \
		__typeof__(b) _min_b = (b);                                                        \
		_min_a < _min_b ? _min_a : _min_b;                                                 \
	})
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) _max_a = (a);                                                        \
		__typeof__(b) _max_b = (b);                                                        \
		_max_a > _max_b ? _max_a : _max_b;                                                 \
	})
