#pragma once
/* Intrusive binary min-heap, for timers. Nodes remember their place, so that removal and change
 * cost O(log n). The heap owns its array of pointers, never the nodes. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

struct heap_node {
	uint64_t key; /* smallest first */
	uint64_t seq; /* equal keys leave in the order in which they were added */
	size_t place; /* 0 = not in a heap, else index + 1 */
};

struct heap {
	struct heap_node **nodes;
	size_t count, cap;
	uint64_t next_seq;
};

void heap_done(struct heap *h);
/* The node must not be in a heap. */
void heap_add(struct heap *h, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *h, struct heap_node *node); /* harmless when absent */
struct heap_node *heap_first(const struct heap *h);	  /* NULL when empty */
bool heap_contains(const struct heap_node *node);
